"""Visits: agents that stay in a cluster for one run, and everything removed afterwards."""
