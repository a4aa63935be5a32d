"""Reads Kubernetes clusters: client, schema, list and watch, facts."""
