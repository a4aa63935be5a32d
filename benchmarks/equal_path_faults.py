"""Scripted faults of two equal links between two gateways (ECMP), each kind at both links.

They are played in a lab of their own, whose topology is `topologies/equal-paths.yaml`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.lab_places import PROD, STAGING, node
from netprobe.lab.fault_script import HostScript, ScriptedFault, write_chain
from netprobe.model.component import Component, tunnel
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth

TOPOLOGY = "topologies/equal-paths.yaml"
"""Below the package `netprobe.lab`."""
_NEIGHBOURS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
"""The other direction needs them."""
_LINKS = 2
_MANY_WINDOWS = 25


def _all() -> Iterator[ScriptedFault]:
    for number in range(_LINKS):
        there, back = _directions(number)
        yield _fault("equal-link-down", number, "drop", GroundTruth(Cause.TUNNEL_DOWN, (there, back)))
        one_way = GroundTruth(Cause.RETURN_PATH_DROPPED, (there,))
        yield _fault("equal-link-one-way", number, "drop", one_way, is_both_ways=False)
        share = "numgen random mod 100 < 30 drop"
        lossy = GroundTruth(Cause.TUNNEL_LOSSY, (there, back))
        yield _fault("equal-link-lossy", number, share, lossy, patience=_MANY_WINDOWS)


def _directions(number: int) -> tuple[Component, Component]:
    name = f"direct:{PROD}–{STAGING} gw–gw {1 + number}"
    return tunnel(PROD, STAGING, link=name), tunnel(STAGING, PROD, link=name)


def _fault(
    kind: str, number: int, what: str, label: GroundTruth, *, is_both_ways: bool = True, patience: int = 0
) -> ScriptedFault:
    """Packets are dropped on arrival, because a drop on the way out would be an error for the sender."""
    ends = ((node(STAGING, "gw"), "b"), *(((node(PROD, "gw"), "a"),) if is_both_ways else ()))
    scripts = []
    for gateway, side in ends:
        begin, end = write_chain(
            "prerouting", _NEIGHBOURS, f'iifname "link{number}{side}" {what}', priority="raw"
        )
        scripts.append(HostScript(gateway.host, begin, end))
    return ScriptedFault(kind, f"link{number}", tuple(scripts), label, patience=patience)


def _by_kind() -> dict[str, tuple[ScriptedFault, ...]]:
    kinds: defaultdict[str, list[ScriptedFault]] = defaultdict(list)
    for fault in _all():
        kinds[fault.kind].append(fault)
    return {kind: tuple(places) for kind, places in kinds.items()}


EQUAL_PATH_FAULTS: dict[str, tuple[ScriptedFault, ...]] = _by_kind()
"""By kind: the fault at either link."""
