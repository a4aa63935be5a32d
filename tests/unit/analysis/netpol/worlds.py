"""Worlds of manifests for tests: a few by hand, any number by hypothesis."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from netprobe.analysis.netpol.derivation import PolicyCell, derive
from netprobe.analysis.netpol.manifests import read_manifests

Raw = dict[str, Any]


def namespace(name: str, **labels: str) -> Raw:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(
    name: str,
    *,
    ips: tuple[str, ...],
    labels: Raw | None = None,
    ports: tuple[Raw, ...] = (),
    node: str = "",
    host: bool = False,
) -> Raw:
    """*name* is ``namespace/name``; each pod has a node of its own unless *node* says otherwise."""
    home, short = name.split("/")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": short, "namespace": home, "labels": labels or {}},
        "spec": {
            "nodeName": node or f"node-of-{short}",
            "hostNetwork": host,
            "containers": [{"name": "main", "ports": list(ports)}],
        },
        "status": {"podIPs": [{"ip": ip} for ip in ips]},
    }


def policy(name: str, spec: Raw) -> Raw:
    """*name* is ``namespace/name``."""
    home, short = name.split("/")
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": short, "namespace": home},
        "spec": spec,
    }


def derive_raw(world: Raw) -> tuple[PolicyCell, ...]:
    """Our own answer, through the text of the manifests."""
    items = [*world["namespaces"], *world["pods"], *world["policies"]]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    read = read_manifests([("world.json", text)])
    return derive(read.policies, read.namespaces, read.pods)


# Few names and values, so that selectors fit as often as they do not.
HOMES = ("a", "b", "default")
KEYS = ("app", "tier")
VALUES = ("x", "y")
PROTOCOLS = ("TCP", "UDP", "SCTP")
NUMBERS = (79, 80, 81, 85)
PORT_NAMES = ("http", "dns")
BLOCKS = (
    ("10.0.0.0/8", ("10.0.0.0/30", "10.0.0.4/31")),
    ("10.0.0.0/29", ("10.0.0.2/32",)),
    ("0.0.0.0/0", ("10.0.0.0/8", "10.0.0.1/32")),
    ("fd00::/64", ("fd00::/126", "fd00::3/128")),
    ("10.0.0.3/32", ()),
)

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
some_values = st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True)
expressions = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from(KEYS), st.sampled_from(("In", "NotIn")), some_values,
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from(KEYS), st.sampled_from(("Exists", "DoesNotExist")),
    ),
)  # fmt: skip
pod_selectors = st.fixed_dictionaries(
    {}, optional={"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)}
)
namespace_selectors = pod_selectors | st.sampled_from(HOMES).map(
    lambda home: {"matchLabels": {"kubernetes.io/metadata.name": home}}
)


@st.composite
def blocks(draw: st.DrawFn) -> Raw:
    cidr, holes = draw(st.sampled_from(BLOCKS))
    block: Raw = {"cidr": cidr}
    with_holes = draw(st.booleans())
    if holes and with_holes:
        block["except"] = draw(st.lists(st.sampled_from(holes), unique=True))
    return {"ipBlock": block}


peers = st.one_of(
    blocks(),
    st.fixed_dictionaries({"podSelector": pod_selectors}),
    st.fixed_dictionaries({"namespaceSelector": namespace_selectors}),
    st.fixed_dictionaries({"podSelector": pod_selectors, "namespaceSelector": namespace_selectors}),
)


@st.composite
def policy_ports(draw: st.DrawFn) -> Raw:
    port: Raw = {}
    if draw(st.booleans()):
        port["protocol"] = draw(st.sampled_from(PROTOCOLS))
    match draw(st.sampled_from(("all", "number", "range", "name"))):
        case "number":
            port["port"] = draw(st.sampled_from(NUMBERS))
        case "range":
            port["port"], port["endPort"] = sorted(draw(st.tuples(*[st.sampled_from(NUMBERS)] * 2)))
        case "name":
            port["port"] = draw(st.sampled_from(PORT_NAMES))
        case _:
            pass
    return port


def rules(side: str) -> st.SearchStrategy[Raw]:
    optional = {side: st.lists(peers, max_size=2), "ports": st.lists(policy_ports(), max_size=2)}
    return st.fixed_dictionaries({}, optional=optional)


specs = st.fixed_dictionaries(
    {"podSelector": pod_selectors},
    optional={
        "policyTypes": st.lists(st.sampled_from(("Ingress", "Egress")), unique=True),
        "ingress": st.lists(rules("from"), max_size=2),
        "egress": st.lists(rules("to"), max_size=2),
    },
)
container_ports = st.fixed_dictionaries(
    {"containerPort": st.sampled_from(NUMBERS)},
    optional={"name": st.sampled_from(PORT_NAMES), "protocol": st.sampled_from(PROTOCOLS)},
)


@st.composite
def worlds(draw: st.DrawFn) -> Raw:
    """One to five policies over two to four pods in up to three namespaces, on two nodes."""
    pods = []
    for number in range(draw(st.integers(2, 4))):
        versions = draw(st.lists(st.sampled_from((4, 6)), min_size=1, unique=True))
        pods.append(
            pod(
                f"{draw(st.sampled_from(HOMES))}/p{number}",
                ips=tuple(f"10.0.0.{number + 1}" if ip == 4 else f"fd00::{number + 1}" for ip in versions),
                labels=draw(labels),
                ports=tuple(draw(st.lists(container_ports, max_size=2))),
                node=draw(st.sampled_from(("n1", "n2"))),
                host=draw(st.sampled_from((False, False, False, True))),
            )
        )
    described = draw(st.lists(st.sampled_from(HOMES), unique=True))
    homes = st.sampled_from([each["metadata"]["namespace"] for each in pods])
    policies = [policy(f"{draw(homes)}/np{number}", draw(specs)) for number in range(draw(st.integers(1, 5)))]
    return {
        "namespaces": [namespace(home, **draw(labels)) for home in described],
        "pods": pods,
        "policies": policies,
    }
