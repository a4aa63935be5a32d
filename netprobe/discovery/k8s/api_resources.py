"""Where an API server keeps the kinds that we ask for: the version is read from it, never written here.

Rule: several systems share one API group, and one group has different resources in different versions, so a
kind is found by its full group and plural in the list of each version, the server's preferred one first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

import msgspec

from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi


class NamedKind(Protocol):
    """What a kind must say to be found."""

    @property
    def group(self) -> str:
        """Its API group; empty for the core API."""

    @property
    def resource(self) -> str:
        """Its plural, as in the path."""


K = TypeVar("K", bound=NamedKind)


class _ServedVersion(msgspec.Struct, frozen=True, rename="camel"):
    group_version: str


class _ServedGroup(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    versions: tuple[_ServedVersion, ...] = ()
    preferred_version: _ServedVersion | None = None


class _ServedGroups(msgspec.Struct, frozen=True):
    groups: tuple[_ServedGroup, ...] = ()


class _ServedResource(msgspec.Struct, frozen=True):
    name: str


class _ServedResources(msgspec.Struct, frozen=True):
    resources: tuple[_ServedResource, ...] = ()


async def find_paths(api: ClusterApi, kinds: Iterable[K]) -> dict[K, str]:
    """The path of each kind that the server has; one request, and one or more for each group that it has.

    Every user may ask this (the ClusterRole ``system:discovery``).
    """
    wanted: dict[str, list[K]] = {}
    for kind in kinds:
        wanted.setdefault(kind.group, []).append(kind)
    found = {kind: f"/api/v1/{kind.resource}" for kind in wanted.pop("", ())}
    served = {group.name: group for group in (await api.get("/apis", _ServedGroups)).groups}
    for name, asked in wanted.items():
        if name in served:
            found |= await _paths_in(api, served[name], {kind.resource: kind for kind in asked})
    return found


async def _paths_in(api: ClusterApi, group: _ServedGroup, asked: Mapping[str, K]) -> dict[K, str]:
    """Look in one version after the other until every kind is found."""
    preferred = (group.preferred_version,) if group.preferred_version else ()
    found: dict[K, str] = {}
    for version in dict.fromkeys((*preferred, *group.versions)):
        if len(found) == len(asked):
            break
        path = f"/apis/{version.group_version}"
        try:
            listed = await api.get(path, _ServedResources)
        except ApiRefusedError as error:
            if error.code not in (403, 404, 503):  # 503: an aggregated API whose server is away
                raise
            continue
        for resource in listed.resources:
            if resource.name in asked:
                found.setdefault(asked[resource.name], f"{path}/{resource.name}")
    return found
