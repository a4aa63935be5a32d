"""From one interval to hypotheses: detectors, localisation, decision table."""
