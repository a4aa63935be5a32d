"""Runs with visiting agents: session, mesh, verification."""
