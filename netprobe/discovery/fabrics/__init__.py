"""Multi-cluster systems, one file each: how to see that one is installed, and what its objects say.

Rules. Detection costs one call: ``GET /apis`` lists every API group, aggregated ones too, and needs no rights
on any object; one more for each version of a group that several systems share, which is recognised by its
resources. A group says that a system is installed, never that it works. Reading is pure: an adapter names
the kinds and fields that it reads, gets the objects, and returns facts; it never raises for what is in them.
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
    mcs,
    ocm,
    skupper,
    submariner,
)
from netprobe.discovery.fabrics.objects import FabricKind, FabricObjects
from netprobe.model.fabric import FabricFacts


class Fabric(Protocol):
    """What every file of this folder offers."""

    NAME: str
    """Its name as its own people write it."""

    def is_served(self, served: frozenset[str]) -> bool:
        """Whether these API groups, and ``plural.group`` in `SHARED_GROUPS`, show that it is installed."""
        ...


class ReadableFabric(Fabric, Protocol):
    """A fabric whose objects are read."""

    KINDS: tuple[FabricKind, ...]
    """What is listed and watched of it, where the server has it."""

    def read(self, objects: FabricObjects) -> FabricFacts:
        """What its objects in one cluster say. Pure; what does not fit is named and skipped."""
        ...


FABRICS: tuple[Fabric, ...] = (
    submariner, liqo, istio, linkerd, consul, cilium, skupper, admiral, karmada, ocm, kubefed,
    mcs,
)  # fmt: skip
READABLE: tuple[ReadableFabric, ...] = (submariner, liqo, istio, linkerd, consul, cilium, skupper, mcs)
"""Those whose objects are read, in the order in which their facts are listed."""


SHARED_GROUPS = (mcs.GROUP,)
"""API groups that several systems have: what is installed, only their resources tell."""


def find_fabrics(served: frozenset[str]) -> tuple[str, ...]:
    """The names of every system that *served* shows, in the order of the registry.

    *served* are names of API groups, and of `SHARED_GROUPS` also ``plural.group`` of every resource.

    >>> find_fabrics(frozenset({"apps", "submariner.io", "networking.istio.io"}))
    ('Submariner', 'Istio')
    """
    return tuple(fabric.NAME for fabric in FABRICS if fabric.is_served(served))
