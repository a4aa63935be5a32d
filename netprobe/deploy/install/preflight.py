"""Before anything is installed or removed: may we do all of it, and is the namespace ours."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.deploy.install.objects import LABELS, NAMESPACE, plural_of
from netprobe.discovery.k8s.access_review import RequiredAccess, check_each, expect_allowed
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.schema import GroupList, Named
from netprobe.errors import SystemRefusedError
from netprobe.wire.manifests import Manifest

_NEEDED = (
    ("namespaces", "", ""),
    ("clusterroles", "rbac.authorization.k8s.io", ""),
    ("clusterrolebindings", "rbac.authorization.k8s.io", ""),
    ("validatingadmissionpolicies", "admissionregistration.k8s.io", ""),
    ("validatingadmissionpolicybindings", "admissionregistration.k8s.io", ""),
    ("roles", "rbac.authorization.k8s.io", NAMESPACE),
    ("rolebindings", "rbac.authorization.k8s.io", NAMESPACE),
    ("serviceaccounts", "", NAMESPACE),
    ("secrets", "", NAMESPACE),
    ("configmaps", "", NAMESPACE),
    ("services", "", NAMESPACE),
    ("daemonsets", "apps", NAMESPACE),
    ("deployments", "apps", NAMESPACE),
)
"""Resource, group and namespace of what is made."""


async def check_clusters(
    apis: Sequence[ClusterApi],
    *,
    verb: str,
    extras: Sequence[Manifest] = (),
    of_the_hub: Sequence[Manifest] = (),
) -> None:
    """Raise :class:`SystemRefusedError` with one line per cluster that does not allow *verb*.

    *extras* are objects beside those that every installation has; those *of_the_hub* only the first gets.
    """

    async def check(api: ClusterApi) -> None:
        added = (*extras, *(of_the_hub if api is apis[0] else ()))
        needed = dict.fromkeys((*_NEEDED, *map(_need_of, added)))
        await _expect_served(api, added)
        acts = [RequiredAccess(verb, *what) for what in needed]
        if verb == "create":  # the token with which the hub reads this cluster
            acts.append(RequiredAccess(verb, "serviceaccounts", "", NAMESPACE, "token"))
        await expect_allowed(api, acts)
        await _expect_own_namespace(api)

    await check_each(apis, check)


def _need_of(found: Manifest) -> tuple[str, str, str]:
    return plural_of(found), _group_of(found), found["metadata"].get("namespace", "")


def _group_of(found: Manifest) -> str:
    group: str = found["apiVersion"].rpartition("/")[0]
    return group


async def _expect_served(api: ClusterApi, added: Sequence[Manifest]) -> None:
    """Refuse kinds that the cluster does not know, before anything is half installed."""
    if not added:
        return
    served = {group.name for group in (await api.get("/apis", GroupList)).groups} | {""}
    unknown = {f"{plural_of(one)}.{_group_of(one)}" for one in added if _group_of(one) not in served}
    if unknown:
        what = f"it does not know {', '.join(sorted(unknown))}"
        raise SystemRefusedError(f"{api.context}: {what}: install their operator first, or leave out --with")


async def _expect_own_namespace(api: ClusterApi) -> None:
    """Refuse a namespace of our name that netprobe did not create: its content is not ours to change."""
    try:
        found = await api.get(f"/api/v1/namespaces/{NAMESPACE}", Named)
    except ApiRefusedError as error:
        if error.code != 404:
            raise
        return
    if found.metadata.deletion_timestamp:
        raise SystemRefusedError(
            f"{api.context}: the namespace {NAMESPACE} is just being deleted: wait for it"
        )
    if any(found.metadata.labels.get(key) != value for key, value in LABELS.items()):
        told = f"a namespace {NAMESPACE} is there that netprobe did not make"
        raise SystemRefusedError(f"{api.context}: {told}: rename or remove it first")
