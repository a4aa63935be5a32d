"""Where an API server keeps the kinds that we ask for: the version is read from it, never written here.

Rule: several systems share one API group, and one group has different resources in different versions, so a
kind is found by its full group and plural in the list of each version, the server's preferred one first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class ApiGroups:
    """The groups of a server, with their versions."""

    def __init__(self, listed: _ServedGroups) -> None:
        self._listed = {group.name: group for group in listed.groups}

    @property
    def names(self) -> frozenset[str]:
        """Their names."""
        return frozenset(self._listed)

    async def find_names(self, api: ClusterApi, shared: Iterable[str]) -> frozenset[str]:
        """Their names and, of those in *shared* that the server has, ``plural.group`` of every resource.

        A request for each version of such a group.
        """
        groups = [self._listed[name] for name in shared if name in self._listed]
        return self.names | {
            f"{resource}.{group.name}"
            for group in groups
            for version in group.versions
            for resource in await _resources_of(api, version)
        }

    async def find_paths(self, api: ClusterApi, kinds: Iterable[K]) -> dict[K, str]:
        """The path of each kind that the server has; a request or more for each group that it has.

        Every user may ask this (the ClusterRole ``system:discovery``).
        """
        wanted: dict[str, list[K]] = {}
        for kind in kinds:
            wanted.setdefault(kind.group, []).append(kind)
        found = {kind: f"/api/v1/{kind.resource}" for kind in wanted.pop("", ())}
        for name, asked in wanted.items():
            if name in self._listed:
                found |= await _paths_in(api, self._listed[name], asked)
        return found


async def read_groups(api: ClusterApi) -> ApiGroups:
    """Ask a server for its groups: one request."""
    return ApiGroups(await api.get("/apis", _ServedGroups))


async def _paths_in(api: ClusterApi, group: _ServedGroup, asked: Sequence[K]) -> dict[K, str]:
    """Look in one version after the other until every kind is found."""
    preferred = (group.preferred_version,) if group.preferred_version else ()
    found: dict[K, str] = {}
    for version in dict.fromkeys((*preferred, *group.versions)):
        if len(found) == len(asked):
            break
        names = await _resources_of(api, version)
        for kind in asked:
            if kind.resource in names:
                found.setdefault(kind, f"/apis/{version.group_version}/{kind.resource}")
    return found


async def _resources_of(api: ClusterApi, version: _ServedVersion) -> frozenset[str]:
    """The plurals of a version; none where it is refused, gone, or its server is away (503)."""
    try:
        listed = await api.get(f"/apis/{version.group_version}", _ServedResources)
    except ApiRefusedError as error:
        if error.code not in (403, 404, 503):
            raise
        return frozenset()
    return frozenset(resource.name for resource in listed.resources)
