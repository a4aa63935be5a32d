"""The stopping rule of the multipath detection algorithm: how many flows rule out a further next hop.

Source: D. Veitch, B. Augustin, T. Friedman and R. Teixeira, "Failure Control in Multipath Route Tracing",
INFOCOM 2009. If a router spread its flows evenly over k' next hops, n flows would miss a given one with
probability ((k' - 1) / k')^n, and any of them with at most k' times that. Asking the n for which this bound
is ε leaves at most ε for a next hop that exists and was not seen.
"""

from __future__ import annotations

import math

FAILURE_PROBABILITY = 0.05
"""ε of one hop."""
MAX_FLOWS = 128
"""Asked at one hop at most (a UDP flow is a socket of its own); enough for 20 next hops."""


def count_flows_needed(next_hops: int) -> int:
    """How many flows show that there are no more than *next_hops*, if so many were seen.

    The values are those of the paper's table and go on where it ends.

    >>> [count_flows_needed(seen) for seen in range(1, 11)]
    [6, 11, 16, 21, 27, 33, 39, 45, 51, 57]
    >>> count_flows_needed(20), count_flows_needed(21)
    (124, 131)
    """
    supposed = next_hops + 1
    return math.ceil(math.log(FAILURE_PROBABILITY / supposed) / math.log((supposed - 1) / supposed))
