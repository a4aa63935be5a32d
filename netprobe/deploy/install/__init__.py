"""Installs netprobe in clusters and removes it, through their APIs only.

``objects`` says which objects, ``preflight`` whether we may, ``installation`` creates them, ``status`` says
how far they are, ``removal`` deletes them.
"""
