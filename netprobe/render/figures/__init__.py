"""Pictures: map, ring map, matrix."""
