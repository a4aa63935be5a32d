"""A class of traffic: the conditions that its packets meet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class TrafficCondition:
    """One attribute of a packet compared with a value: ``protocol = tcp``."""

    attribute: str
    value: str
    is_equal: bool = True
    """Whether the packets have the value; if not, they have any other one."""
