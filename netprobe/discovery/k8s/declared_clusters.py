"""The clusters that a management system knows, read once behind one context.

Rules. Only on request, with the rights of the person whose context it is. A kind that may not be listed, and
an object that may not be read, are named. Names of further objects come from strangers: one that the API
could take for something else than a name is never put into a path.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from netprobe.discovery.cluster_sources.source import ClusterSource, ReferredObject
from netprobe.discovery.fabrics.objects import FabricKind, FabricObject, FabricObjects
from netprobe.discovery.k8s.api_resources import read_groups
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi, open_api
from netprobe.discovery.k8s.collection_watch import list_kept
from netprobe.discovery.k8s.fabric_objects import keep_object, list_of
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.errors import NetprobeError, RemoteFormatError
from netprobe.model.declared_cluster import DeclaredClusters
from netprobe.model.fabric import UnreadField

MAX_REFERRED = 1024
"""Objects that are read because others name them."""
_TOGETHER = 16
_BUILT_IN = frozenset({"", "coordination.k8s.io"})
"""API groups of every server: that they are served does not show that a system is installed."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Of an object or a namespace (RFC 1123)."""


@dataclass(frozen=True, slots=True)
class SourceReading:
    """What one system behind one context knows, or why that could not be read."""

    context: Context
    declared: DeclaredClusters
    why: str = ""
    """Why nothing was read: one line; empty where it was."""


async def read_sources(
    contexts: Iterable[Context], sources: Iterable[ClusterSource], *, timeout_s: float
) -> tuple[SourceReading, ...]:
    """Read every system behind every context; a failure of one hides no other."""
    gate = asyncio.Semaphore(_TOGETHER)
    pairs = [(context, source) for context in contexts for source in sources]

    async def read(context: Context, source: ClusterSource) -> SourceReading:
        try:
            async with gate, asyncio.timeout(timeout_s), open_api(context) as api:
                return SourceReading(context, await read_declared(api, source))
        except TimeoutError:
            why = f"{context}: {context.server} gave no answer within {timeout_s:g} s"
        except NetprobeError as error:
            why = str(error)
        return SourceReading(context, DeclaredClusters(source.title), why)

    return tuple(await asyncio.gather(*(read(*pair) for pair in pairs)))


async def read_declared(api: ClusterApi, source: ClusterSource) -> DeclaredClusters:
    """What *source* knows behind *api*; ``ApiError`` where nothing can be read there at all."""
    by_kind: dict[FabricKind, tuple[FabricObject, ...]] = {}
    denied: list[FabricKind] = []
    groups = await read_groups(api)
    for kind, path in (await groups.find_paths(api, source.kinds)).items():
        try:
            kept, _ = await list_kept(api, list_of(kind, path))
        except (ApiRefusedError, RemoteFormatError):
            denied.append(kind)
        else:
            by_kind[kind] = tuple(kept)
    objects = FabricObjects(by_kind, tuple(denied))
    referred, unread = await _read_referred(api, source, objects)
    found = source.read(FabricObjects(by_kind | referred, tuple(denied)))
    own = {kind for kind in source.kinds if kind.group not in _BUILT_IN}
    if own and own.isdisjoint((*by_kind, *denied)):
        unread = (UnreadField(source.title, "", "is not installed there"),)
    return replace(found, unread=(*found.unread, *unread))


async def _read_referred(
    api: ClusterApi, source: ClusterSource, objects: FabricObjects
) -> tuple[dict[FabricKind, tuple[FabricObject, ...]], tuple[UnreadField, ...]]:
    wanted = tuple(dict.fromkeys(source.referred(objects)))
    gate = asyncio.Semaphore(_TOGETHER)

    async def read(one: ReferredObject) -> FabricObject | UnreadField | None:
        async with gate:
            return await _read_one(api, one)

    answers = await asyncio.gather(*map(read, wanted[:MAX_REFERRED]))
    kept: dict[FabricKind, list[FabricObject]] = {kind: [] for kind in source.referred_kinds}
    for one, answer in zip(wanted, answers, strict=False):
        if isinstance(answer, FabricObject):
            kept[one.kind].append(answer)
    unread = [answer for answer in answers if isinstance(answer, UnreadField)]
    if len(wanted) > MAX_REFERRED:
        unread.append(UnreadField("further objects", "", f"{len(wanted) - MAX_REFERRED} more"))
    return {kind: tuple(items) for kind, items in kept.items()}, tuple(dict.fromkeys(unread))


async def _read_one(api: ClusterApi, one: ReferredObject) -> FabricObject | UnreadField | None:
    """One object; what cannot be read is a problem, and so is a name that is not one."""
    if not (_NAME.fullmatch(one.namespace) and _NAME.fullmatch(one.name)):
        return UnreadField(one.kind.resource, "", "are referred to by what is not a name")
    path = f"/api/v1/namespaces/{one.namespace}/{one.kind.resource}/{one.name}"
    title = f"{one.kind.resource} {one.namespace}/{one.name}"
    try:
        return keep_object(one.kind, await api.get(path, msgspec.Raw))
    except ApiRefusedError as error:
        why = {403: "may not be read", 404: "does not exist"}.get(error.code, "cannot be read")
        return UnreadField(title, "", why)
    except RemoteFormatError:
        return UnreadField(title, "", "cannot be decoded")
