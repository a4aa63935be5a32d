"""Reports for people who were not there: a subject, written in any format."""
