"""NetworkPolicy: from manifests to who may reach whom, and which policy says so."""
