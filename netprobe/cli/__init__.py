"""Commands: they compose, print, and set the exit code."""
