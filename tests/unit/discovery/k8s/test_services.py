"""Services of a cluster as objects, and how they are asked."""

from __future__ import annotations

import msgspec
import pytest

from netprobe.discovery.k8s import schema
from netprobe.discovery.k8s.services import ASK_LABEL, find_services
from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import ClusterName, NodeName
from netprobe.planning.allow_list import find_askable

NODES = (
    Node(NodeName("a"), host_addresses=("192.0.2.1",)),
    Node(NodeName("b"), host_addresses=("192.0.2.2",)),
)


def service(node_port: int, **labels: str) -> schema.ServiceObject:
    port = schema.ServicePort(80, name="http", node_port=node_port)
    spec = schema.ServiceObjectSpec("NodePort" if node_port else "ClusterIP", ("203.0.113.7",), (port,))
    return schema.ServiceObject(schema.Meta("web", "shop", labels={ASK_LABEL: "true"} | labels), spec)


def test_a_port_of_every_node_is_asked_at_every_node() -> None:
    plain, *at_nodes = find_services([service(30080)], [], nodes=NODES)
    assert (plain.qualified, plain.addresses, plain.port, plain.node) == (
        "shop/web",
        ("203.0.113.7",),
        80,
        None,
    )
    assert [(one.qualified, one.addresses, one.port, one.node) for one in at_nodes] == [
        ("shop/web-at-a", ("192.0.2.1",), 30080, "a"),
        ("shop/web-at-b", ("192.0.2.2",), 30080, "b"),
    ]


def test_without_a_node_port_or_without_the_label_no_node_is_asked() -> None:
    assert len(find_services([service(0)], [], nodes=NODES)) == 1
    assert find_services([service(30080, **{ASK_LABEL: "false"})], [], nodes=NODES) == ()


def endpoint_slice(address_type: str, *endpoints: tuple[str, dict[str, bool]]) -> schema.EndpointSlice:
    """As an API server of 1.36 writes it."""
    document = {
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": address_type,
        "endpoints": [{"addresses": [address], "conditions": said} for address, said in endpoints],
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
    }
    return msgspec.convert(document, schema.EndpointSlice)


READY = {"ready": True, "serving": True, "terminating": False}
ENDING = {"ready": False, "serving": True, "terminating": True}
SICK = {"ready": False, "serving": False, "terminating": False}
ENDED = {"ready": False, "serving": False, "terminating": True}
WARMING = {"ready": False, "serving": True, "terminating": False}
"""Serving, not terminating and not ready: no controller of Kubernetes writes it, other ones may."""


@pytest.mark.parametrize(
    ("endpoints", "used"),
    [
        pytest.param([("10.0.0.1", READY), ("10.0.0.2", ENDING)], ("10.0.0.1",), id="a-ready-one"),
        pytest.param([("10.0.0.2", ENDING), ("10.0.0.3", ENDED)], ("10.0.0.2",), id="all-terminate"),
        pytest.param([("10.0.0.3", SICK), ("10.0.0.4", WARMING)], (), id="none-serves"),
        pytest.param([("10.0.0.5", {})], ("10.0.0.5",), id="nothing-said-counts-as-ready"),
    ],
)
def test_endpoints_are_those_that_kube_proxy_uses(
    endpoints: list[tuple[str, dict[str, bool]]], used: tuple[str, ...]
) -> None:
    (found,) = find_services([service(0)], [endpoint_slice("IPv4", *endpoints)])
    assert (found.endpoints, found.target_port) == (used, 8080 if endpoints else 80)


def test_while_one_slice_has_a_ready_endpoint_those_that_end_in_another_are_not_used() -> None:
    slices = [endpoint_slice("IPv4", ("10.0.0.1", ENDING)), endpoint_slice("IPv4", ("10.0.0.2", READY))]
    (found,) = find_services([service(0)], slices)
    assert found.endpoints == ("10.0.0.2",)


def test_names_of_an_fqdn_slice_are_not_addresses_and_planning_goes_on() -> None:
    slices = [
        endpoint_slice("FQDN", ("db.example.net", READY)),
        endpoint_slice("IPv6", ("fd00::7", READY)),
    ]
    (found,) = find_services([service(0)], slices)
    assert found.endpoints == ("fd00::7",)
    (named_only,) = find_services([service(0)], slices[:1])
    assert (named_only.endpoints, named_only.target_port) == ((), 80)
    fleet = Inventory((Cluster(ClusterName("a"), NODES, services=(found, named_only)),))
    assert find_askable(fleet) == ("192.0.2.1/32", "192.0.2.2/32", "203.0.113.7/32", "fd00::7/128")


def test_a_headless_service_of_names_alone_has_nothing_to_ask() -> None:
    headless = msgspec.structs.replace(
        service(0),
        spec=schema.ServiceObjectSpec("ClusterIP", ("None",), (schema.ServicePort(80, name="http"),)),
    )
    assert find_services([headless], [endpoint_slice("FQDN", ("db.example.net", READY))]) == ()
