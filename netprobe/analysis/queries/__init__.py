"""Questions to a snapshot: why, weak points, blast radius, comparison."""
