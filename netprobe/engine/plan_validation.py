"""Which checks of a plan can be asked: an invalid one gets a reason, the others run. Pure."""

from __future__ import annotations

import ipaddress

from netprobe.errors import InputError
from netprobe.model.check import Check, Plan
from netprobe.model.names import CheckId
from netprobe.probes import registry

MAX_PROBES_PER_S = 10_000
"""One agent's probe budget."""


def expect_askable(check: Check) -> None:
    """Raise :class:`InputError` naming the field that cannot be asked."""
    try:
        address = ipaddress.ip_address(check.target.address)
    except ValueError as error:
        raise InputError(f"{check.target.address!r} is not an IP address", where="target.address") from error
    if str(address) != check.target.address:
        raise InputError(
            f"{check.target.address!r} is not in canonical form: {address}", where="target.address"
        )
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        raise InputError(f"{address} is not the address of a single host", where="target.address")
    if check.count < 1:
        raise InputError(f"count {check.count} is less than 1", where="count")
    registry.validate(check.probe)


def find_unaskable(plan: Plan, *, max_probes_per_s: int = MAX_PROBES_PER_S) -> dict[CheckId, str]:
    """Every check of *plan* that cannot be asked, with a reason of one line."""
    reasons: dict[CheckId, str] = {}
    budget = max_probes_per_s * plan.interval_ns // 1_000_000_000
    for check in plan.checks:
        try:
            expect_askable(check)
        except InputError as error:
            reasons[check.id] = str(error)
            continue
        if check.count > budget:
            reasons[check.id] = f"over the agent's budget of {max_probes_per_s} probes per second"
        else:
            budget -= check.count
    return reasons
