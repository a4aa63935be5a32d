"""NATS: subjects, connection, the embedded server, who may say what."""
