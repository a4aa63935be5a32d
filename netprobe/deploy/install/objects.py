"""Which objects a cluster gets: those of ``manifests/``, with what differs from cluster to cluster filled in.

Rule: pure. Nothing is made up here that ``kubectl apply -k`` would not make, but names, addresses and images.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from netprobe.wire.manifests import (
    KustomizeComponent,
    Manifest,
    find_manifests,
    read_component,
    read_manifests,
)

NAMESPACE = "netprobe"
LABELS = {"app.kubernetes.io/part-of": "netprobe"}
BUS_NAME = "netprobe-bus"
BUS_PORT = 4222
CLUSTERS_SECRET = "netprobe-clusters"  # noqa: S105 - names, no secrets
TLS_SECRET = "netprobe-bus-tls"  # noqa: S105
AUTHORITY_SECRET = "netprobe-bus-authority"  # noqa: S105
OPERATORS_SECRET = "netprobe-operators"  # noqa: S105
READER = "netprobe-reader"
"""The account with which the hub reads another cluster."""
READER_LEASE = "netprobe-reader-lease"
"""The Secret without content that the reader's tokens are bound to."""
OLD_READER_SECRET = "netprobe-reader"  # noqa: S105
"""Of builds whose reader had a token that never expires."""
METRICS_SECRET = "netprobe-metrics"  # noqa: S105
READER_TOKEN_S = 7 * 24 * 3_600
"""Life of a reader's token: so long a hub may be away until `netprobe install` has to give it another one."""
EXTRAS = (
    "availability", "flat", "net-raw", "network-policy", "persistent", "prometheus-rule", "service-monitor",
    "cilium", "consul", "istio", "linkerd", "liqo", "mcs-api", "skupper", "submariner",
)  # fmt: skip
"""Components of ``manifests/`` that an installation may have; certificates, it makes itself."""
_COMPONENT = "app.kubernetes.io/component"
_OF_THE_HUB = frozenset({"collector", "metrics"})
_PLURALS = {
    "NetworkPolicy": "networkpolicies",
    "PriorityClass": "priorityclasses",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
}


@dataclass(frozen=True, slots=True)
class Images:
    """What runs, and what it has beside."""

    agent: str = ""
    """Empty for what the manifests say."""
    collector: str = ""
    extras: tuple[str, ...] = ()
    """Of :data:`EXTRAS`."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What the agents of one cluster have to know."""

    cluster: str
    bus: str
    ca: str
    """PEM."""


def agent_objects(settings: AgentSettings, images: Images) -> tuple[Manifest, ...]:
    """The agents of both planes."""
    made = _with(images.extras, _base("agent", images.agent), of_the_hub=False)
    for found in made:
        if found["kind"] == "ConfigMap":
            found["data"] = {"cluster": settings.cluster, "bus": settings.bus, "ca.crt": settings.ca}
    return made


def reader_objects() -> tuple[Manifest, ...]:
    """What the collector may read, and an account for a collector in another cluster."""
    return _base("reader", "")


def collector_objects(images: Images, *, service: str) -> tuple[Manifest, ...]:
    """The collector with its bus; *service* is the type of the bus's Service."""
    made = _with(images.extras, _base("collector", images.collector), of_the_hub=True)
    for found in made:
        if found["kind"] == "Service" and found["metadata"]["name"] == BUS_NAME:
            found["spec"]["type"] = service
    return made


def namespace_object() -> Manifest:
    """The namespace, which everything else stands in."""
    return next(found for found in _base("agent", "") if found["kind"] == "Namespace")


def secret(name: str, data: Mapping[str, bytes]) -> Manifest:
    """A Secret of ours."""
    encoded = {key: base64.b64encode(value).decode() for key, value in sorted(data.items())}
    meta = {"name": name, "namespace": NAMESPACE, "labels": dict(LABELS)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": encoded}


def plural_of(found: Manifest) -> str:
    """The resource that an object is one of."""
    kind: str = found["kind"]
    return _PLURALS.get(kind, kind.lower() + "s")


def path_of(found: Manifest) -> str:
    """Where the API keeps an object.

    >>> path_of({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "a", "namespace": "n"}})
    '/apis/apps/v1/namespaces/n/daemonsets/a'
    """
    version, meta = found["apiVersion"], found["metadata"]
    root = "/apis" if "/" in version else "/api"
    inside = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{root}/{version}{inside}/{plural_of(found)}/{meta['name']}"


def everything() -> tuple[Manifest, ...]:
    """Every object that any cluster may have of us, but Secrets that are made on the way."""
    return tuple(found for part in ("agent", "reader", "collector") for found in _base(part, ""))


def cluster_wide(found: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """Cluster-scoped objects; deleting our namespace does not delete them."""
    return tuple(one for one in found if "namespace" not in one["metadata"] and one["kind"] != "Namespace")


def extra_objects(extras: Iterable[str], *, of_the_hub: bool) -> tuple[Manifest, ...]:
    """The objects that these components add beside the collector, or beside the agents.

    Cluster-scoped objects are for both: the first installation applies them.
    """
    added = (found for name in extras for found in _component(name).resources)
    return tuple(one for one in added if (_part_of(one) in _OF_THE_HUB) is of_the_hub or cluster_wide([one]))


def _component(name: str) -> KustomizeComponent:
    return read_component(find_manifests() / "components" / name)


def _with(extras: Iterable[str], base: tuple[Manifest, ...], *, of_the_hub: bool) -> tuple[Manifest, ...]:
    """The objects of *base* as the components change them, after those that the components add to it."""
    for name in extras:
        base = _component(name).patch(base)
    is_first = [one for one in base if one["kind"] == "Namespace"]
    added = extra_objects(extras, of_the_hub=of_the_hub)
    return (*is_first, *added, *(one for one in base if one["kind"] != "Namespace"))


def _part_of(found: Manifest) -> str:
    return str(found["metadata"]["labels"][_COMPONENT])


def _base(part: str, image: str) -> tuple[Manifest, ...]:
    made = tuple(deepcopy(read_manifests(find_manifests() / "base" / part)))
    for found in made:
        if image and found["kind"] in {"DaemonSet", "Deployment", "StatefulSet"}:
            for container in found["spec"]["template"]["spec"]["containers"]:
                container["image"] = image
    return made
