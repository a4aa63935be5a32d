"""Who is there: static inventories, Kubernetes, multi-cluster systems."""
