"""State that lasts over intervals: paths, baselines, agent liveness, eligibility of evidence."""
