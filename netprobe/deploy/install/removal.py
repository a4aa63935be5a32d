"""Taking netprobe out of a cluster: the namespace with all in it, and what stands outside of it.

Rule: whether the namespace is ours has been checked before (:mod:`netprobe.deploy.install.preflight`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from netprobe.deploy.install import objects
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.schema import Named
from netprobe.errors import SystemRefusedError

_POLL_S = 0.5
_NAMESPACE = f"/api/v1/namespaces/{objects.NAMESPACE}"


@dataclass(frozen=True, slots=True)
class RemovalResult:
    """Whether there was anything."""

    was_there: bool


async def remove_installation(api: ClusterApi, *, timeout_s: float) -> RemovalResult:
    """Remove everything of ours and return when it is gone.

    Raises :class:`SystemRefusedError` where the namespace does not go within *timeout_s*.
    """
    namespace = await _namespace(api)
    if namespace is not None:
        await api.delete(_NAMESPACE)
    was_there = namespace is not None
    everything = (*objects.everything(), *objects.extra_objects(objects.EXTRAS, of_the_hub=False))
    for found in objects.cluster_wide(everything):
        path = objects.path_of(found)
        was_there |= await _exists(api, path)
        await api.delete(path)
    try:
        async with asyncio.timeout(timeout_s):
            while await _namespace(api) is not None:  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        told = f"the namespace {objects.NAMESPACE} is still ending after {timeout_s:g} s"
        hint = f"kubectl get namespace {objects.NAMESPACE} -o yaml says what holds it"
        raise SystemRefusedError(f"{api.context}: {told}: {hint}") from error
    return RemovalResult(was_there)


async def _namespace(api: ClusterApi) -> Named | None:
    try:
        return await api.get(_NAMESPACE, Named)
    except ApiRefusedError as error:
        if error.code != 404:
            raise
        return None


async def _exists(api: ClusterApi, path: str) -> bool:
    try:
        await api.get(path, Named)
    except ApiRefusedError as error:
        if error.code != 404:
            raise
        return False
    return True
