"""From reports to closed intervals, and the counters of one interval."""
