"""By system: at least one object of each kind that its adapter reads, with every field that it reads."""

from __future__ import annotations

from typing import Any

from tests.unit.discovery.fabrics import submariner_objects as submariner
from tests.unit.discovery.fabrics.test_adapters import PEM, condition, liqo_objects, meta

Json = dict[str, Any]
_NETWORK = {"topology.istio.io__network": "net-1"}
_GLOBAL = {"service.cilium.io__global": "true"}
_TLS = {"name": "inter-router", "host": "203.0.113.20", "port": "55671"}

WHOLE: dict[str, dict[str, list[Json]]] = {
    "Submariner": submariner.east() | {
        "globalingressips": [
            {"metadata": submariner.meta("cart"), "spec": {"serviceRef": {"name": "cart"}},
             "status": {"allocatedIP": "242.0.0.7"}},
        ],
        "clusterglobalegressips": [
            {"metadata": submariner.meta("all"), "status": {"allocatedIPs": ["242.0.0.8"]}},
        ],
    },
    "Liqo": liqo_objects() | {
        "gatewayclients": [
            {"metadata": meta("west", liqo_io__remote_cluster_id="west"),
             "spec": {"mtu": 1340, "endpoint": {"addresses": ["203.0.113.6"], "port": 51840}}},
        ],
    },
    "Istio": {
        "services": [
            {"metadata": meta("istio-eastwestgateway", "istio-system", **_NETWORK),
             "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.15"}]}}},
        ],
        "gateways": [
            {"metadata": meta("east-west", "istio-system", **_NETWORK),
             "spec": {"gatewayClassName": "istio-east-west"},
             "status": {"addresses": [{"type": "IPAddress", "value": "203.0.113.16"}]}},
        ],
        "configmaps": [{"metadata": meta("istio-ca-root-cert"), "data": {"root-cert.pem": PEM}}],
    },
    "Linkerd": {
        "links": [
            {"metadata": meta("west"),
             "spec": {"targetClusterName": "west", "gatewayAddress": "203.0.113.7", "gatewayPort": "4144"},
             "status": {"mirrorServices": [{"remoteRef": {"name": "cart", "namespace": "shop"}}]}},
        ],
        "configmaps": [{"metadata": meta("linkerd-identity-trust-roots"), "data": {"ca-bundle.crt": PEM}}],
    },
    "Consul": {
        "peeringdialers": [
            {"metadata": meta("west"), "status": {"conditions": [condition("Synced", "True")]}},
        ],
        "peeringacceptors": [
            {"metadata": meta("south"), "status": {"conditions": [condition("Synced", "False")]}},
        ],
        "exportedservices": [
            {"metadata": meta("default"),
             "spec": {"services": [{"name": "cart", "namespace": "shop", "consumers": [{"peer": "west"}]}]}},
        ],
    },
    "Cilium": {
        "configmaps": [
            {"metadata": meta("cilium-config"), "data": {"cluster-name": "east", "cluster-id": "7"}},
        ],
        "services": [{"metadata": meta("cart", "shop", **_GLOBAL), "spec": {"clusterIPs": ["10.91.0.7"]}}],
    },
    "Skupper": {
        "links": [
            {"metadata": meta("to-west"), "spec": {"endpoints": [_TLS]},
             "status": {"remoteSiteName": "west", "conditions": [condition("Operational", "True")]}},
        ],
        "listeners": [{"metadata": meta("l"), "spec": {"routingKey": "cart"}}],
        "connectors": [{"metadata": meta("c"), "spec": {"routingKey": "stock"}}],
    },
    "MCS API": {
        "serviceexports": [
            {"metadata": meta("cart", "shop"), "status": {"conditions": [condition("Ready", "True")]}},
        ],
        "serviceimports": [
            {"metadata": meta("cart", "shop"), "spec": {"type": "ClusterSetIP", "ips": ["243.0.0.5"]},
             "status": {"clusters": [{"cluster": "east"}]}},
        ],
    },
}  # fmt: skip
