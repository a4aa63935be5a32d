"""Before anything is installed or removed: may we do all of it, and is the namespace ours."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.discovery.api import ApiRefusedError, ClusterApi
from netprobe.discovery.deploy.catalogue import LABELS, NAMESPACE
from netprobe.discovery.objects import Named
from netprobe.discovery.permission import Act, check_each, expect_allowed
from netprobe.errors import SurroundingsError

_NEEDED = (
    ("namespaces", "", ""),
    ("clusterroles", "rbac.authorization.k8s.io", ""),
    ("clusterrolebindings", "rbac.authorization.k8s.io", ""),
    ("serviceaccounts", "", NAMESPACE),
    ("secrets", "", NAMESPACE),
    ("configmaps", "", NAMESPACE),
    ("services", "", NAMESPACE),
    ("daemonsets", "apps", NAMESPACE),
    ("deployments", "apps", NAMESPACE),
)
"""Resource, group and namespace of what is made."""


async def check_clusters(apis: Sequence[ClusterApi], *, verb: str) -> None:
    """Raise :class:`SurroundingsError` with one line per cluster that stands in the way of *verb*."""

    async def check(api: ClusterApi) -> None:
        await expect_allowed(api, (Act(verb, *what) for what in _NEEDED))
        await _expect_own_namespace(api)

    await check_each(apis, check)


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
