"""What gateways say about a finding, and how much that weighs."""
