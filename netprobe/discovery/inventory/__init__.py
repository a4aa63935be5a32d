"""Inventories that people write: the file, its validation, and what may be left out."""
