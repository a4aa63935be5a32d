"""Policies to verdicts: the corner cases by name, and agreement with a naive second implementation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given, settings

from netprobe.analysis.netpol.derivation import derive
from netprobe.analysis.netpol.policy import PolicyPod, PolicyProtocol
from netprobe.errors import InputError
from netprobe.model.check import Expectation
from tests.unit.analysis.netpol import oracle
from tests.unit.analysis.netpol.worlds import derive_raw, namespace, pod, policy, worlds

Raw = dict[str, Any]

HTTP = ({"containerPort": 80, "name": "http"}, {"containerPort": 81, "name": "dns", "protocol": "UDP"})
WEB = pod("a/web", ips=("10.0.0.1",), labels={"app": "web"}, ports=HTTP)
DB = pod("a/db", ips=("10.0.0.2",), labels={"app": "db"}, ports=HTTP)
FAR = pod("b/web", ips=("10.0.0.3",), labels={"app": "web"}, ports=HTTP, node="node-of-far")
HOST = pod("b/host", ips=("10.9.0.1",), labels={"app": "web"}, node="node-of-db", host=True)
ALIEN_HOST = pod("b/alien", ips=("10.9.0.2",), labels={"app": "web"}, host=True)
EVERYBODY = (WEB, DB, FAR, HOST, ALIEN_HOST)
ON_DB = {"matchLabels": {"app": "db"}}
WEBS = {"matchLabels": {"app": "web"}}


def world(*policies: Raw) -> Raw:
    homes = [namespace("a", team="one"), namespace("b", team="two")]
    return {"namespaces": homes, "pods": list(EVERYBODY), "policies": list(policies)}


def asking(spec: Raw, *, port: int = 80, target: str = "a/db") -> set[str]:
    """Who may reach *target* on TCP *port* under one policy in namespace a."""
    return {
        cell.source.qualified
        for cell in derive_raw(world(policy("a/p", spec)))
        if (cell.target.qualified, cell.transport, cell.port) == (target, PolicyProtocol.TCP, port)
        and cell.expected is Expectation.ALLOW
    }


def asked(spec: Raw, *, source: str = "a/web") -> set[str]:
    """Which targets and ports *source* may reach under one policy in namespace a."""
    return {
        f"{cell.target.qualified} {cell.transport}/{cell.port}"
        for cell in derive_raw(world(policy("a/p", spec)))
        if cell.source.qualified == source and cell.target != cell.source
        and cell.expected is Expectation.ALLOW
    }  # fmt: skip


def ingress(*peers: Raw, ports: tuple[Raw, ...] = ()) -> Raw:
    return {"podSelector": ON_DB, "ingress": [{"from": list(peers), "ports": list(ports)}]}


ALL = {"a/web", "a/db", "b/web", "b/host", "b/alien"}
ALWAYS = {"a/db", "b/host"}
"""The pod itself, and the pod in the host network of its own node."""

INGRESS = {
    "no rule is default deny": ({"podSelector": ON_DB}, ALWAYS),
    "an empty list of rules is default deny": ({"podSelector": ON_DB, "ingress": []}, ALWAYS),
    "an empty rule allows everybody": ({"podSelector": ON_DB, "ingress": [{}]}, ALL),
    "empty from allows everybody": (ingress(), ALL),
    "absent from with another port": ({"podSelector": ON_DB, "ingress": [{"ports": [{"port": 9}]}]}, ALWAYS),
    "an empty pod selector on top selects all": ({"podSelector": {}}, ALWAYS),
    "an absent pod selector on top is an empty one": ({}, ALWAYS),
    "null on top is an absent one": ({"podSelector": None}, ALWAYS),
    "a selector that fits no pod leaves all open": ({"podSelector": {"matchLabels": {"app": "no"}}}, ALL),
    "empty pod selector: the own namespace": (ingress({"podSelector": {}}), ALWAYS | {"a/web"}),
    "pod selector alone: the own namespace": (ingress({"podSelector": WEBS}), ALWAYS | {"a/web"}),
    "empty namespace selector: every namespace": (
        ingress({"namespaceSelector": {}}),
        ALWAYS | {"a/web", "b/web"},
    ),
    "null namespace selector is absent": (
        ingress({"podSelector": {}, "namespaceSelector": None}),
        ALWAYS | {"a/web"},
    ),
    "both in one peer: and": (
        ingress({"namespaceSelector": {"matchLabels": {"team": "two"}}, "podSelector": WEBS}),
        ALWAYS | {"b/web"},
    ),
    "both in two peers: or": (
        ingress({"namespaceSelector": {"matchLabels": {"team": "two"}}}, {"podSelector": WEBS}),
        ALWAYS | {"a/web", "b/web"},
    ),
    "the namespace's own name is a label": (
        ingress({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "b"}}}),
        ALWAYS | {"b/web"},
    ),
    "not in fits an absent label": (
        ingress({"podSelector": {"matchExpressions": [{"key": "no", "operator": "NotIn", "values": ["x"]}]}}),
        ALWAYS | {"a/web"},
    ),
    "ip block": (ingress({"ipBlock": {"cidr": "10.0.0.0/29"}}), ALWAYS | {"a/web", "b/web"}),
    "ip block with except": (
        ingress({"ipBlock": {"cidr": "10.0.0.0/29", "except": ["10.0.0.3/32"]}}),
        ALWAYS | {"a/web"},
    ),
    "an excepted address allowed by another peer": (
        ingress({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.1/32"]}}, {"podSelector": WEBS}),
        ALL,
    ),
    "selectors never find the host network": (
        ingress({"namespaceSelector": {}, "podSelector": {}}),
        ALWAYS | {"a/web", "b/web"},
    ),
    "an ip block finds the host network": (
        ingress({"ipBlock": {"cidr": "10.9.0.0/24"}}),
        ALWAYS | {"b/alien"},
    ),
    "egress only by policyTypes leaves ingress open": (
        {"podSelector": ON_DB, "policyTypes": ["Egress"]},
        ALL,
    ),
    "an egress rule does not take ingress away from the default": (
        {"podSelector": ON_DB, "egress": [{}]},
        ALWAYS,
    ),
    "empty policyTypes are defaulted, too": ({"podSelector": ON_DB, "policyTypes": []}, ALWAYS),
    "a rule outside policyTypes says nothing": (
        {"podSelector": ON_DB, "policyTypes": ["Ingress"], "egress": [{}]},
        ALWAYS,
    ),
}


@pytest.mark.parametrize(("spec", "expected"), INGRESS.values(), ids=INGRESS)
def test_ingress(spec: Raw, expected: set[str]) -> None:
    assert asking(spec) == expected


PORTS = {
    "number": ({"port": 80}, {80}),
    "number of another protocol": ({"port": 80, "protocol": "UDP"}, set()),
    "no number: every port of the protocol": ({"protocol": "TCP"}, {79, 80, 81, 82}),
    "name": ({"port": "http"}, {80}),
    "name of a port of another protocol": ({"port": "dns"}, set()),
    "a name that no port has": ({"port": "nope"}, set()),
    "endPort, both ends included": ({"port": 80, "endPort": 81}, {80, 81}),
    "endPort equal to port": ({"port": 81, "endPort": 81}, {81}),
}


@pytest.mark.parametrize(("port", "expected"), PORTS.values(), ids=PORTS)
def test_ports(port: Raw, expected: set[int]) -> None:
    # The second policy selects no pod; it only makes sure that ports 79 to 82 are asked.
    edges = policy("a/edges", {"podSelector": {"matchLabels": {"app": "no"}}, "ingress": [
        {"ports": [{"port": 79, "endPort": 80}, {"port": 81, "endPort": 82}]}]})  # fmt: skip
    cells = derive_raw(world(policy("a/p", ingress(ports=(port,))), edges))
    ways = [cell for cell in cells if (cell.source.qualified, cell.target.qualified) == ("a/web", "a/db")]
    found = {
        cell.port
        for cell in ways
        if cell.transport is PolicyProtocol.TCP and cell.expected is Expectation.ALLOW
    }
    assert found == expected


def test_a_named_port_of_egress_is_the_targets() -> None:
    spec = {"podSelector": WEBS, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": "http"}]}]}
    other = pod("b/other", ips=("10.0.0.4",), ports=({"containerPort": 8080, "name": "http"},))
    here = world(policy("a/p", spec))
    cells = derive_raw({**here, "pods": [WEB, DB, other]})
    found = {
        f"{cell.target.qualified} {cell.port}"
        for cell in cells
        if cell.source.qualified == "a/web" and cell.target != cell.source
        and cell.expected is Expectation.ALLOW
    }  # fmt: skip
    assert found == {"a/db 80", "b/other 8080"}


def test_egress_without_a_rule_shuts_in_but_for_itself() -> None:
    assert asked({"podSelector": WEBS, "policyTypes": ["Egress"]}) == set()


def test_egress_rules_make_an_egress_policy_by_default() -> None:
    assert asked({"podSelector": WEBS, "egress": [{"to": [{"podSelector": ON_DB}]}]}) == {
        "a/db tcp/80",
        "a/db udp/81",
    }


def test_the_host_network_is_never_isolated() -> None:
    shut = [policy(f"{home}/shut", {"policyTypes": ["Ingress", "Egress"]}) for home in ("a", "b")]
    cells = derive_raw({**world(*shut), "pods": [HOST, ALIEN_HOST]})
    assert {cell.expected for cell in cells} <= {Expectation.ALLOW}
    far = [cell for cell in derive_raw(world(*shut)) if cell.source.qualified == "b/alien"]
    assert {cell.reason for cell in far if cell.target.qualified == "a/db"} == {"ingress by a/shut"}


def test_denial_names_the_direction_and_every_policy_there() -> None:
    policies = [
        policy("a/in", {"podSelector": ON_DB}),
        policy("a/too", {"podSelector": {}}),
        policy("b/out", {"policyTypes": ["Egress"]}),
    ]
    reasons = {
        cell.source.qualified: (cell.expected, cell.reason)
        for cell in derive_raw(world(*policies))
        if cell.target.qualified == "a/db"
    }
    assert reasons == {
        "a/web": (Expectation.DENY, "ingress by a/in, a/too"),
        "a/db": (Expectation.ALLOW, "no policy applies"),
        "b/web": (Expectation.DENY, "egress by b/out"),
        "b/host": (Expectation.ALLOW, "no policy applies"),
        "b/alien": (Expectation.DENY, "ingress by a/in, a/too"),
    }


def test_permission_names_the_policies_that_allow() -> None:
    policies = [
        policy("a/deny", {"podSelector": {}}),
        policy("a/let", ingress({"namespaceSelector": {}})),
        policy("b/out", {"policyTypes": ["Egress"], "egress": [{}]}),
    ]
    cells = [
        cell for cell in derive_raw(world(*policies))
        if (cell.source.qualified, cell.target.qualified) == ("b/web", "a/db")
    ]  # fmt: skip
    assert {cell.reason for cell in cells} == {"egress by b/out and ingress by a/let"}


def test_each_ip_version_has_its_own_verdict() -> None:
    pods = [
        pod("a/one", ips=("10.0.0.1", "fd00::1")),
        pod("a/two", ips=("10.0.0.2", "fd00::2"), labels={"app": "db"}, ports=HTTP[:1]),
    ]
    only_four = policy("a/p", ingress({"ipBlock": {"cidr": "0.0.0.0/0"}}))
    cells = derive_raw({**world(only_four), "pods": pods})
    found = {cell.version: cell.expected for cell in cells if cell.source.name == "one" != cell.target.name}
    assert found == {4: Expectation.ALLOW, 6: Expectation.DENY}


def test_a_pod_of_an_unknown_namespace_is_an_error() -> None:
    with pytest.raises(InputError, match="pod x/p: its namespace is not given"):
        derive((), (), (PolicyPod("x", "p"),))


@pytest.mark.slow
@settings(max_examples=4 * settings().max_examples)  # four hundred in CI
@given(here=worlds())
def test_agrees_with_the_naive_second_implementation_on_every_cell(here: Raw) -> None:
    raw = {f"{each['metadata']['namespace']}/{each['metadata']['name']}": each for each in here["pods"]}
    for cell in derive_raw(here):
        ends = raw[cell.source.qualified], raw[cell.target.qualified]
        direction, names = oracle.blockers(here, *ends, cell.version, cell.transport.upper(), cell.port)
        event(f"{cell.expected} {direction}")
        if direction is None:
            assert cell.expected is Expectation.ALLOW, cell
        else:
            assert cell.expected is Expectation.DENY, cell
            (side,) = cell.deciding
            assert (side.direction, set(side.isolating)) == (direction, names)
