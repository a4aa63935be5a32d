"""The bus address for agents outside of the hub, from its Service: a load balancer or a node port."""

from __future__ import annotations

import asyncio

from netprobe.deploy.install.objects import BUS_NAME, BUS_PORT, NAMESPACE
from netprobe.discovery.k8s import schema
from netprobe.discovery.k8s.client import ClusterApi
from netprobe.errors import SystemRefusedError

_PATH = f"/api/v1/namespaces/{NAMESPACE}/services/{BUS_NAME}"
_POLL_S = 1.0


async def find_outer_bus(hub: ClusterApi, *, timeout_s: float) -> tuple[str, list[str]]:
    """The bus's external address, and the names that its certificate needs.

    Raises :class:`SystemRefusedError` if the Service gets none within *timeout_s*.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                service = await hub.get(_PATH, schema.ServiceObject)
                if service.spec.type == "NodePort":
                    hosts = await _node_addresses(hub)
                    return f"tls://{hosts[0]}:{service.spec.ports[0].node_port}", hosts
                for ingress in service.status.load_balancer.ingress:
                    host = ingress.hostname or ingress.ip
                    return f"tls://{host}:{BUS_PORT}", [host]
                if service.spec.type == "ClusterIP":
                    break
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        pass
    why = f"the bus's Service has no external address (type {service.spec.type})"
    raise SystemRefusedError(f"{hub.context}: {why}: use --bus URL or --expose NodePort")


async def _node_addresses(hub: ClusterApi) -> list[str]:
    """Addresses of nodes, external ones first."""
    nodes, _ = await hub.list("/api/v1/nodes", schema.NodeObject)
    found = [
        address.address
        for kind in ("ExternalIP", "InternalIP")
        for node in nodes
        for address in node.status.addresses
        if address.type == kind
    ]
    if not found:
        raise SystemRefusedError(f"{hub.context}: no node has an address: use --bus URL")
    return found
