"""Inventory, policy and budget in; plans, routes and coverage out. Pure."""
