"""Agents on plain hosts, installed over SSH."""
