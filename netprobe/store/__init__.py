"""History and evidence: the collector's database and the bundles people keep."""
