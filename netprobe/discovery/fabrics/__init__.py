"""Multi-cluster systems, one file each: how to see that one is installed.

Rule: detection costs one call. ``GET /apis`` lists every API group, aggregated ones too, and needs no rights
on any object. A group says that a system is installed, never that it works.
"""

from __future__ import annotations

from typing import Protocol

from netprobe.discovery.fabrics import (
    admiral,
    cilium,
    consul,
    istio,
    karmada,
    kubefed,
    linkerd,
    liqo,
    ocm,
    skupper,
    submariner,
)


class Fabric(Protocol):
    """What every file of this folder offers."""

    NAME: str
    """Its name as its own people write it."""

    def is_served(self, groups: frozenset[str]) -> bool:
        """Whether these API groups show that it is installed."""
        ...


FABRICS: tuple[Fabric, ...] = (
    submariner, liqo, istio, linkerd, consul, cilium, skupper, admiral, karmada, ocm, kubefed,
)  # fmt: skip


def find_fabrics(groups: frozenset[str]) -> tuple[str, ...]:
    """The names of every system whose API groups are among *groups*, in the order of the registry.

    >>> find_fabrics(frozenset({"apps", "submariner.io", "networking.istio.io"}))
    ('Submariner', 'Istio')
    """
    return tuple(fabric.NAME for fabric in FABRICS if fabric.is_served(groups))
