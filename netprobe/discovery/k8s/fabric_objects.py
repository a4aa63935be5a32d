"""The objects of fabrics in one cluster: which kinds the server has, and reading them once.

Rule: no Secret is ever asked for here. A kind that we may not list is named in the facts; what a fabric's
adapter does wrong with an object costs that fabric's facts and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

import msgspec

from netprobe.discovery.fabrics import READABLE, SHARED_GROUPS, ReadableFabric
from netprobe.discovery.fabrics.objects import FabricKind, FabricObject, FabricObjects, decode_object
from netprobe.discovery.k8s.api_resources import read_groups
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.collection_watch import ObjectKind, list_kept
from netprobe.errors import RemoteFormatError
from netprobe.model.fabric import FabricFacts, UnreadField

logger = logging.getLogger(__name__)
_PAGE = 100
"""Objects per page: strangers may write objects of a megabyte."""
_PROBLEM = "its objects could not be read: netprobe's log says why"


async def find_kinds(api: ClusterApi) -> dict[FabricKind, ObjectKind]:
    """The kinds of every fabric that is installed, as far as this server has them."""
    groups = await read_groups(api)
    served = await groups.find_names(api, SHARED_GROUPS)
    installed = (fabric for fabric in READABLE if fabric.is_served(served))
    paths = await groups.find_paths(api, (kind for fabric in installed for kind in fabric.KINDS))
    return {kind: list_of(kind, path) for kind, path in paths.items()}


def list_of(kind: FabricKind, path: str) -> ObjectKind:
    """How the objects of *kind* at *path* are listed: in small pages, each decoded on its own."""
    return ObjectKind(
        str(kind),
        path,
        msgspec.Raw,
        kind.selector,
        only=kind.name,
        page=_PAGE,
        convert=partial(keep_object, kind),
    )


def keep_object(kind: FabricKind, raw: msgspec.Raw) -> FabricObject | None:
    """What is kept of one object, or None."""
    return decode_object(bytes(raw), kind)


async def read_fabrics(api: ClusterApi) -> tuple[FabricFacts, ...]:
    """Read every fabric of a cluster once; raises as `read_fabric_objects`."""
    return read_facts(await read_fabric_objects(api))


async def read_fabric_objects(api: ClusterApi) -> FabricObjects:
    """The objects of every fabric of a cluster; ``ApiError`` where the cluster cannot be read at all."""
    by_kind: dict[FabricKind, tuple[FabricObject, ...]] = {}
    denied: list[FabricKind] = []
    for kind, listed in (await find_kinds(api)).items():
        try:
            kept, _ = await list_kept(api, listed)
        except (ApiRefusedError, RemoteFormatError) as error:
            logger.info("%s are left out: %s", kind, error)
            denied.append(kind)
        else:
            by_kind[kind] = tuple(kept)
    return FabricObjects(by_kind, tuple(denied))


def read_facts(objects: FabricObjects) -> tuple[FabricFacts, ...]:
    """The facts of each fabric of which this cluster has a kind. Pure, and safe with any object."""
    served: Mapping[FabricKind, object] = dict.fromkeys((*objects.by_kind, *objects.denied))
    return tuple(_read(fabric, objects) for fabric in READABLE if not served.keys().isdisjoint(fabric.KINDS))


def _read(fabric: ReadableFabric, objects: FabricObjects) -> FabricFacts:
    by_kind = {kind: objects.by_kind[kind] for kind in fabric.KINDS if kind in objects.by_kind}
    denied = tuple(kind for kind in fabric.KINDS if kind in objects.denied)
    try:
        return fabric.read(FabricObjects(by_kind, denied))
    except Exception:
        # An adapter that fails is our fault; other fabrics and the cluster itself are read all the same.
        logger.exception("%s could not be read", fabric.NAME)
        return FabricFacts(fabric.NAME, unread=(UnreadField(fabric.NAME, "", _PROBLEM),))
