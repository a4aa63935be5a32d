"""What a cluster's NetworkPolicies speak of: its policies, namespaces and pods, as texts of manifests.

Rule: nothing is judged here. Pods are cut to what policies ask of them, because a real pod is mostly other
things; policies and namespaces are passed on unchanged, so that their reader can be strict.
"""

from __future__ import annotations

import json

import msgspec

from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.wire.networkpolicy import PodDoc

_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
    "Pod": "/api/v1/pods",
}


async def read_policy_manifests(context: Context) -> tuple[tuple[str, str], ...]:
    """Pairs of a name for errors and a text, one for each kind.

    Raises :class:`NetprobeError` where the cluster cannot be read: without one of the kinds, or a part of the
    pods, every verdict might be wrong.
    """
    async with open_api(context) as api:
        told = []
        for kind, path in _PATHS.items():
            items = [_as_manifest(kind, one) for one in (await api.list(path, dict[str, object]))[0]]
            told.append((f"{context}: {path}", json.dumps({"kind": f"{kind}List", "items": items})))
    return tuple(told)


def _as_manifest(kind: str, one: dict[str, object]) -> object:
    return msgspec.to_builtins(msgspec.convert(one, PodDoc)) if kind == "Pod" else one
