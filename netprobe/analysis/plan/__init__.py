"""What is known of one plan, and how state survives the change to the next."""
