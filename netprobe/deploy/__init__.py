"""Puts agents where they are needed and takes them away: installations, visits, plain hosts."""
