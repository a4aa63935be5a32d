"""Findings over time: opened, confirmed, closed; agents that run but do not report."""
