"""Services of a cluster as objects, and how they are asked."""

from __future__ import annotations

from netprobe.discovery.k8s import schema
from netprobe.discovery.k8s.services import ASK_LABEL, find_services
from netprobe.model.inventory import Node
from netprobe.model.names import NodeName

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
