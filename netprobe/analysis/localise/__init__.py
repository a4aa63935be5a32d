"""Which parts explain what was lost.

An evidence matrix (row × directed component) with what each row sent and lost goes in; suspects come out,
with what speaks for and against each. Read ``evidence`` (what goes in), ``interface`` (what comes out), then
one localiser: ``set_cover`` for parts that drop everything, ``greedy_lr`` for partial loss. Pure: no clock,
no socket, no randomness.
"""
