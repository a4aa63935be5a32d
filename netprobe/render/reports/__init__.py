"""Reports: a subject, written in any of several formats."""
