"""Bringing netprobe into clusters and out again, through their APIs only.

``catalogue`` says which objects, ``checking`` whether we may, ``putting`` puts them there, ``looking``
says how far they are, ``removing`` takes them away.
"""
