"""Objects of Submariner 0.24 as its own types write them, for two clusters that it joins."""

from __future__ import annotations

from typing import Any

GROUP = "submariner.io"
NAMESPACE = "submariner-operator"
WRITTEN_S = 1_764_000_000
Json = dict[str, Any]
ADDRESSES = {"east": ("192.0.2.11", "203.0.113.11"), "west": ("198.51.100.21", "203.0.113.21")}
"""Private and public address of each cluster's gateway."""


def meta(name: str, **annotations: str) -> Json:
    return {"name": name, "namespace": NAMESPACE, "resourceVersion": "7", "annotations": annotations}


def endpoint_spec(cluster: str, *, nat: bool = False, backend: str = "libreswan", **more: Any) -> Json:
    private, public = ADDRESSES[cluster]
    return {
        "cluster_id": cluster,
        "cable_name": f"submariner-cable-{cluster}-{private.replace('.', '-')}",
        "hostname": f"{cluster}-gw",
        "subnets": ["10.1.0.0/16", "10.91.0.0/16"],
        "private_ip": private,
        "privateIPs": [private],
        "public_ip": public,
        "publicIPs": [public],
        "nat_enabled": nat,
        "backend": backend,
        "backend_config": {"natt-discovery-port": "4490", "udp-port": "4501", "preferred-server": "false"},
        **more,
    }


def endpoint(cluster: str, **more: Any) -> Json:
    return {"metadata": meta(f"{cluster}-cable"), "spec": endpoint_spec(cluster, **more)}


def cluster(name: str, *, global_cidr: tuple[str, ...] = ()) -> Json:
    number = 1 if name == "east" else 2
    spec = {
        "cluster_id": name,
        "cluster_cidr": [f"10.{number}.0.0/16"],
        "service_cidr": [f"10.9{number}.0.0/16"],
        "global_cidr": list(global_cidr),
        "color_codes": ["blue"],
    }
    return {"metadata": meta(name), "spec": spec}


def connection(peer: str, status: str = "connected", *, rtt: str = "447.358µs", message: str = "") -> Json:
    return {
        "status": status,
        "statusMessage": message,
        "endpoint": endpoint_spec(peer),
        "usingIP": ADDRESSES[peer][0],
        "usingNAT": False,
        "latencyRTT": {"last": rtt, "min": rtt, "average": rtt, "max": rtt, "stdDev": "1µs"} if rtt else {},
    }


def gateway(own: str, *connections: Json, status: str = "active", written_s: object = WRITTEN_S) -> Json:
    return {
        "metadata": meta(f"{own}-gw", **{"update-timestamp": str(written_s)}),
        "status": {
            "version": "0.24.0",
            "haStatus": status,
            "statusFailure": "",
            "localEndpoint": endpoint_spec(own),
            "connections": list(connections),
        },
    }


def route_agent(node: str, peer: str, status: str = "connected", *, rtt: str = "1.16ms") -> Json:
    remote = {
        "status": status,
        "statusMessage": "",
        "latencyRTT": {"last": rtt, "average": rtt} if rtt else {},
        "spec": endpoint_spec(peer),
    }
    return {
        "metadata": meta(node),
        "status": {"version": "0.24.0", "statusFailure": "", "remoteEndpoints": [remote]},
    }


def east(*connections: Json) -> dict[str, list[Json]]:
    """By plural: the objects in cluster *east*, joined to *west*; connected where nothing else is said."""
    return {
        "gateways": [gateway("east", *(connections or (connection("west"),)))],
        "endpoints": [endpoint("east"), endpoint("west")],
        "clusters": [cluster("east"), cluster("west")],
        "routeagents": [route_agent("east-w1", "west"), route_agent("east-gw", "west", "none", rtt="")],
    }
