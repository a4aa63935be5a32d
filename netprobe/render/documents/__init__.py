"""Output for machines: JSON and YAML documents, graph exports, Prometheus metrics."""
