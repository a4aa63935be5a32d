"""Before anything is changed: can each cluster be reached, is it another one, and may we do all of it.

Rule: every problem of every cluster is found and told at once; while there is one, nothing is installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from netprobe.discovery.api import ApiRefusedError, ClusterApi
from netprobe.discovery.deploy.catalogue import LABELS, NAMESPACE
from netprobe.discovery.objects import Named
from netprobe.errors import NetprobeError, SurroundingsError

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_NEEDED = (
    ("", "namespaces", ""),
    ("rbac.authorization.k8s.io", "clusterroles", ""),
    ("rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("", "serviceaccounts", NAMESPACE),
    ("", "secrets", NAMESPACE),
    ("", "configmaps", NAMESPACE),
    ("", "services", NAMESPACE),
    ("apps", "daemonsets", NAMESPACE),
    ("apps", "deployments", NAMESPACE),
)
"""Group, resource and namespace of what is made."""


class _Verdict(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _Verdict = _Verdict()


@dataclass(frozen=True, slots=True)
class Identified:
    """Which cluster it is."""

    api: ClusterApi
    uid: str


async def check_clusters(apis: Sequence[ClusterApi], *, verb: str) -> None:
    """Raise :class:`SurroundingsError` with one line per cluster that stands in the way of *verb*."""
    found = await asyncio.gather(*(_check(api, verb) for api in apis), return_exceptions=True)
    problems = [str(one) for one in found if isinstance(one, NetprobeError)]
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, NetprobeError):
            raise one
    first: dict[str, ClusterApi] = {}
    for one in found:
        if isinstance(one, Identified):
            other = first.setdefault(one.uid, one.api)
            if other is not one.api:
                problems.append(f"{one.api.context}: is the same cluster as {other.context}: name it once")
    if problems:
        raise SurroundingsError("; ".join(problems))


async def _check(api: ClusterApi, verb: str) -> Identified:
    told = await asyncio.gather(*(_may(api, verb, *what) for what in _NEEDED))
    missing = [resource for (_, resource, _), allowed in zip(_NEEDED, told, strict=True) if not allowed]
    if missing:
        what = f"you may not {verb} {', '.join(missing)}"
        raise SurroundingsError(f"{api.context}: {what}: ask its administrator for it, or to do it for you")
    await _expect_own_namespace(api)
    return Identified(api, (await api.get("/api/v1/namespaces/kube-system", Named)).metadata.uid)


async def _expect_own_namespace(api: ClusterApi) -> None:
    """Refuse a namespace of our name that somebody else made: what is in it is not ours to change."""
    try:
        found = await api.get(f"/api/v1/namespaces/{NAMESPACE}", Named)
    except ApiRefusedError as error:
        if error.code != 404:
            raise
        return
    if found.metadata.deletion_timestamp:
        raise SurroundingsError(
            f"{api.context}: the namespace {NAMESPACE} is just being deleted: wait for it"
        )
    if any(found.metadata.labels.get(key) != value for key, value in LABELS.items()):
        told = f"a namespace {NAMESPACE} is there that netprobe did not make"
        raise SurroundingsError(f"{api.context}: {told}: rename or remove it first")


async def _may(api: ClusterApi, verb: str, group: str, resource: str, namespace: str) -> bool:
    attributes = {"verb": verb, "group": group, "resource": resource}
    attributes |= {"namespace": namespace} if namespace else {}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return (await api.create(_REVIEWS, review, _Review)).status.allowed
