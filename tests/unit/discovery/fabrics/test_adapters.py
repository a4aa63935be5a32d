"""What each further system's objects say, from objects as its own types describe them."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from netprobe.discovery.fabric_merge import add_fabrics, find_claims
from netprobe.discovery.fabrics import cilium, consul, istio, linkerd, liqo, mcs, skupper
from netprobe.model.fabric import (
    ClaimState,
    FabricCluster,
    FabricFacts,
    FabricGateway,
    FabricLink,
    FabricService,
    SubjectKind,
)
from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import ClusterName, NodeName
from tests.unit.discovery.fabrics.readings import read

Json = dict[str, Any]
CERTIFICATE = b"not a certificate, and nothing here asks for one"
PEM = f"-----BEGIN CERTIFICATE-----\n{b64encode(CERTIFICATE).decode()}\n-----END CERTIFICATE-----\n"
FINGERPRINT = sha256(CERTIFICATE).hexdigest()


def meta(name: str, namespace: str = "n", **labels: str) -> Json:
    marks = {key.replace("__", "/").replace("_", "-"): value for key, value in labels.items()}
    return {"name": name, "namespace": namespace, "labels": marks, "annotations": marks}


def condition(kind: str, status: str, message: str = "") -> Json:
    return {"type": kind, "status": status, "reason": "x", "message": message}


PEER = {"liqo.io__remote_cluster_id": "west"}


def liqo_objects(
    value: str = "Connected", *, latency: str = "3ms", remapped: str = ""
) -> dict[str, list[Json]]:
    latencies = {"value": latency, "timestamp": "2026-11-29T10:00:00Z"} if latency else {}
    network = condition("NetworkConnectionStatus", "Established")
    return {
        "configmaps": [{"metadata": meta("liqo-clusterid-configmap"), "data": {"CLUSTER_ID": "east"}}],
        "foreignclusters": [
            {
                "metadata": meta("west"),
                "spec": {"clusterID": "west"},
                "status": {"modules": {"networking": {"enabled": True, "conditions": [network]}}},
            }
        ],
        "connections": [
            {
                "metadata": meta("west", **PEER),
                "spec": {"type": "Server"},
                "status": {"value": value, "latency": latencies},
            }
        ],
        "gatewayservers": [
            {
                "metadata": meta("west", **PEER),
                "spec": {"mtu": 1340, "endpoint": {"port": 51840, "serviceType": "NodePort"}},
                "status": {
                    "endpoint": {"addresses": ["203.0.113.5"], "port": 32_111, "protocol": "UDP"},
                    "internalEndpoint": {"ip": "10.1.0.9", "node": "east-w1"},
                },
            }
        ],
        "configurations": [
            {
                "metadata": meta("west", **PEER),
                "spec": {"remote": {"cidr": {"pod": ["10.2.0.0/16"], "external": ["10.70.0.0/16"]}}},
                "status": {"remote": {"cidr": {"pod": [remapped or "10.2.0.0/16"]}}},
            }
        ],
    }


def test_liqo_names_tunnel_port_mtu_and_the_node_of_its_gateway() -> None:
    found = read(liqo, liqo_objects())
    assert (found.cluster, found.unread) == ("east", ())
    assert found.links == (FabricLink("east", "west", "wireguard", 32_111, 1340, source_gateway="east-w1"),)
    assert found.gateways == (FabricGateway("east", "east-w1", outer_addresses=("203.0.113.5",)),)
    assert found.clusters == (FabricCluster("west", ("10.2.0.0/16",)),)


def test_liqo_remaps_a_range_that_overlaps() -> None:
    found = read(liqo, liqo_objects(remapped="10.71.0.0/16"))
    assert found.clusters == (FabricCluster("west", ("10.2.0.0/16",), remapped_cidrs=("10.71.0.0/16",)),)
    assert [link.is_remapped for link in found.links] == [True]


@pytest.mark.parametrize(
    ("value", "latency", "state"),
    [
        ("Connected", "3ms", ClaimState.UP),
        ("Connected", "", ClaimState.UNVERIFIED),
        ("Connecting", "", ClaimState.DOWN),
        ("Error", "3ms", ClaimState.DOWN),
    ],
)
def test_liqo_is_connected_only_with_a_latency(value: str, latency: str, state: ClaimState) -> None:
    connection, foreign = read(liqo, liqo_objects(value, latency=latency)).claims
    assert (connection.value, connection.state) == (value, state)
    assert foreign.state is ClaimState.UNVERIFIED, "it repeats the connection and says nothing of its own"
    assert (foreign.subject.source, foreign.subject.target) == ("east", "west")


def test_a_link_of_liqo_becomes_one_of_the_inventory() -> None:
    east, west = (
        Cluster(ClusterName(name), (Node(NodeName(f"{name}-w1"), host_addresses=(address,)),))
        for name, address in (("prod", "192.0.2.1"), ("west", "192.0.2.2"))
    )
    east = Cluster(east.name, (Node(NodeName("east-w1"), host_addresses=("192.0.2.1",)),))
    inventory = add_fabrics(Inventory((east, west)), {east.name: (read(liqo, liqo_objects()),)}, Inventory())
    (link,) = inventory.links
    assert (link.source, link.target, link.mechanism, link.mtu, link.outer_port, link.known_from) == (
        "prod", "west", "wireguard", 1340, 32_111, "Liqo",
    )  # fmt: skip
    assert link.source_gateway == "east-w1"


def linkerd_facts() -> FabricFacts:
    link = {
        "metadata": meta("west", "linkerd-multicluster"),
        "spec": {
            "targetClusterName": "west",
            "targetClusterDomain": "cluster.local",
            "clusterCredentialsSecret": "cluster-credentials-west",
            "gatewayAddress": "203.0.113.7, gateway.example.net",
            "gatewayPort": "4144",
            "probeSpec": {"path": "/ready", "port": "4191", "period": "3s"},
        },
        "status": {
            "mirrorServices": [
                {
                    "remoteRef": {"kind": "Service", "name": "cart", "namespace": "shop"},
                    "conditions": [condition("Mirrored", "True")],
                }
            ]
        },
    }
    roots = {"metadata": meta("linkerd-identity-trust-roots", "linkerd"), "data": {"ca-bundle.crt": PEM}}
    return read(linkerd, {"links": [link], "configmaps": [roots]})


def test_linkerd_names_gateway_mirrors_and_trust_anchors_and_claims_nothing() -> None:
    found = linkerd_facts()
    assert found.links == (FabricLink("", "west", "linkerd", 4144, is_routed=False),)
    assert found.gateways == (FabricGateway("west", "", outer_addresses=("203.0.113.7",)),)
    assert found.services == (FabricService("shop/cart", clusters=("west",)),)
    assert [root.fingerprint for root in found.trust_roots] == [FINGERPRINT]
    assert (found.claims, found.unread) == ((), ())


def test_a_link_of_proxies_is_not_one_of_the_inventory() -> None:
    clusters = tuple(
        Cluster(ClusterName(name), (Node(NodeName("w1"), host_addresses=("192.0.2.1",)),))
        for name in ("prod", "west")
    )
    said = {ClusterName("prod"): (linkerd_facts(),)}
    assert add_fabrics(Inventory(clusters), said, Inventory()) == Inventory(clusters)


def test_istio_names_east_west_gateways_and_each_root_once() -> None:
    network = {"topology.istio.io__network": "net-1"}
    ingress = [{"ip": "203.0.113.15"}, {"hostname": "lb.example.net"}]
    service = {
        "metadata": meta("istio-eastwestgateway", "istio-system", **network),
        "status": {"loadBalancer": {"ingress": ingress}},
    }
    addresses = [{"type": "IPAddress", "value": "203.0.113.16"}, {"type": "Hostname", "value": "x.example"}]
    gateways = [
        {
            "metadata": meta(class_name, "istio-system", **network),
            "spec": {"gatewayClassName": class_name},
            "status": {"addresses": addresses},
        }
        for class_name in ("istio-east-west", "istio-remote")
    ]
    roots = [{"metadata": meta("istio-ca-root-cert", each), "data": {"root-cert.pem": PEM}} for each in "ab"]
    found = read(istio, {"services": [service], "gateways": gateways, "configmaps": roots})
    assert found.gateways == (
        FabricGateway("", "", outer_addresses=("203.0.113.15",)),
        FabricGateway("", "", outer_addresses=("203.0.113.16",)),
    )
    assert [(root.fingerprint, root.object.namespace) for root in found.trust_roots] == [(FINGERPRINT, "a")]
    assert found.unread == ()


def test_consul_names_peers_and_synced_is_not_reached() -> None:
    synced = {"conditions": [condition("Synced", "True")], "latestPeeringVersion": 1}
    secret = {"peer": {"secret": {"name": "s", "key": "k", "backend": "kubernetes"}}}
    refused = {"conditions": [condition("Synced", "False", "refused\nby the agent")]}
    exported = {"services": [{"name": "cart", "namespace": "shop", "consumers": [{"peer": "west"}]}]}
    found = read(
        consul,
        {
            "peeringdialers": [{"metadata": meta("west"), "spec": secret, "status": synced}],
            "peeringacceptors": [{"metadata": meta("south"), "spec": secret, "status": refused}],
            "exportedservices": [{"metadata": meta("default"), "spec": exported}],
        },
    )
    assert [(link.target, link.is_routed) for link in found.links] == [("south", False), ("west", False)]
    assert found.services == (FabricService("shop/cart", is_exported=True, clusters=("west",)),)
    assert [(one.subject.target, one.state, one.message) for one in found.claims] == [
        ("south", ClaimState.DOWN, "refused by the agent"),
        ("west", ClaimState.UNVERIFIED, ""),
    ]


def test_cilium_names_itself_and_its_global_services() -> None:
    config = {"cluster-name": "east", "cluster-id": "7", "identity-allocation-mode": "crd"}
    marked = {"service.cilium.io__global": "true"}
    services = [
        {"metadata": meta("cart", "shop", **marked), "spec": {"clusterIPs": ["10.91.0.7"]}},
        {"metadata": meta("taker", "shop", **marked, service_cilium_io="x"), "spec": {}},
        {"metadata": meta("plain", "shop"), "spec": {"clusterIPs": ["10.91.0.8"]}},
    ]
    services[1]["metadata"]["annotations"] |= {"service.cilium.io/shared": "false"}
    found = read(
        cilium, {"configmaps": [{"metadata": meta("cilium-config"), "data": config}], "services": services}
    )
    assert (found.cluster, found.links, found.claims, found.unread) == ("east", (), (), ())
    assert found.services == (
        FabricService("shop/cart", is_exported=True, addresses=("10.91.0.7",)),
        FabricService("shop/taker"),
    )


def test_skupper_names_links_and_services_and_pods_do_not_use_them() -> None:
    endpoints = [
        {"name": "edge", "host": "203.0.113.20", "port": "45671"},
        {"name": "inter-router", "host": "203.0.113.20", "port": "55671"},
    ]
    link = {
        "metadata": meta("to-west"),
        "spec": {"endpoints": endpoints, "cost": 1, "tlsCredentials": "link"},
        "status": {"remoteSiteName": "west", "conditions": [condition("Operational", "False", "no route")]},
    }
    found = read(
        skupper,
        {
            "links": [link],
            "listeners": [
                {"metadata": meta("l"), "spec": {"routingKey": "cart", "host": "cart", "port": 80}}
            ],
            "connectors": [{"metadata": meta("c"), "spec": {"routingKey": "stock", "selector": "a=b"}}],
        },
    )
    assert found.links == (FabricLink("", "west", "skupper", 55671, is_routed=False),)
    assert found.services == (FabricService("n/cart"), FabricService("n/stock", is_exported=True))
    (claim,) = found.claims
    assert (claim.state, claim.message, claim.subject.kind) == (
        ClaimState.DOWN,
        "no route",
        SubjectKind.SERVICE_LINK,
    )
    known = [ClusterName("east"), ClusterName("west")]
    assert find_claims({known[0]: (found,)}, known) == (), "no check of ours crosses it"


def test_what_the_lighthouse_agent_keeps_for_the_broker_is_not_imported() -> None:
    """As lighthouse v0.24.0 writes it: marked by a label in its namespace, by an annotation at the broker."""
    mark = {"lighthouse.submariner.io/sourceNamespace": "shop"}
    kept = [
        {"metadata": meta("cart-shop-east", "submariner-operator") | {"labels": mark}},
        {"metadata": meta("cart-shop", "submariner-k8s-broker") | {"annotations": mark}},
        {"metadata": meta("cart", "shop") | {"labels": mark}},
    ]
    assert read(mcs, {"serviceimports": kept}).services == (FabricService("shop/cart"),)


def test_the_mcs_api_names_exports_and_the_clusters_behind_imports() -> None:
    ready = {"conditions": [condition("Valid", "True"), condition("Ready", "True")]}
    broken = {"conditions": [condition("Ready", "False", "no such service")]}
    behind = {"clusters": [{"cluster": "east"}, {"cluster": "west"}]}
    found = read(
        mcs,
        {
            "serviceexports": [
                {"metadata": meta("cart", "shop"), "status": ready},
                {"metadata": meta("gone", "shop"), "status": broken},
            ],
            "serviceimports": [
                {"metadata": meta("cart", "shop"), "spec": {"type": "ClusterSetIP", "ips": ["243.0.0.5"]},
                 "status": behind},
                {"metadata": meta("quiet", "shop"), "spec": {"type": "ClusterSetIP"}},
            ],
        },
    )  # fmt: skip
    assert found.services == (
        FabricService("shop/cart", is_exported=True),
        FabricService("shop/gone", is_exported=True),
        FabricService("shop/cart", clusters=("east", "west"), addresses=("243.0.0.5",)),
        FabricService("shop/quiet"),
    )
    assert [(one.subject.target, one.state) for one in found.claims] == [
        ("shop/cart", ClaimState.UNVERIFIED),
        ("shop/gone", ClaimState.DOWN),
    ]
    assert found.unread == ()
