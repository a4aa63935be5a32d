"""Which services are worth asking, with their endpoints.

Rule: services are probed only on request. Probed are the API server's own
(``default/kubernetes``), the cluster's DNS (``kube-system/kube-dns``), and every service that carries the
label ``netprobe.io/ask=true``, or whose namespace does. ``netprobe.io/ask=false`` on a service leaves it out.
One that has a port at every node is asked there too, as a service of its own per node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netprobe.discovery.k8s import schema
from netprobe.model.inventory import Node, Service

ASK_LABEL = "netprobe.io/ask"
ALWAYS = frozenset({"default/kubernetes", "kube-system/kube-dns"})
_OWNER = "kubernetes.io/service-name"
_ADDRESS_TYPES = frozenset({"IPv4", "IPv6"})


def find_services(
    services: Iterable[schema.ServiceObject],
    slices: Iterable[schema.EndpointSlice],
    *,
    asked_namespaces: frozenset[str] = frozenset(),
    nodes: Iterable[Node] = (),
) -> tuple[Service, ...]:
    """Every service worth asking that has an address or an endpoint, by namespace and name.

    Those with a port at every node stand there once more for each of *nodes*.
    """
    slices_of: dict[str, list[schema.EndpointSlice]] = {}
    for found in slices:
        owner = f"{found.metadata.namespace}/{found.metadata.labels.get(_OWNER, '')}"
        slices_of.setdefault(owner, []).append(found)
    asked = [service for service in services if _is_asked(service, asked_namespaces)]
    nodes = tuple(nodes)
    understood: list[Service] = []
    for service in asked:
        if (one := _service_of(service, slices_of.get(_key(service), []))) is not None:
            understood += (one, *_at_nodes(one, service, nodes))
    return tuple(sorted(understood, key=lambda one: one.qualified))


def _at_nodes(understood: Service, service: schema.ServiceObject, nodes: Iterable[Node]) -> Iterator[Service]:
    """The same service through its port of each node; nothing where it has none."""
    port = next((one for one in service.spec.ports if one.protocol.lower() == understood.protocol), None)
    if port is None or not port.node_port:
        return
    for node in nodes:
        yield replace(
            understood, name=f"{understood.name}-at-{node.name}", addresses=node.host_addresses,
            port=port.node_port, node=node.name,
        )  # fmt: skip


def _key(service: schema.ServiceObject) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"


def _is_asked(service: schema.ServiceObject, asked_namespaces: frozenset[str]) -> bool:
    said = service.metadata.labels.get(ASK_LABEL)
    if said is not None:
        return said == "true"
    return _key(service) in ALWAYS or service.metadata.namespace in asked_namespaces


def _service_of(service: schema.ServiceObject, slices: Iterable[schema.EndpointSlice]) -> Service | None:
    """The service through its first TCP port, else its first UDP port; None where there is nothing to ask."""
    ports = sorted(
        (port for port in service.spec.ports if port.protocol in ("TCP", "UDP")),
        key=lambda port: port.protocol != "TCP",
    )
    addresses = tuple(address for address in service.spec.cluster_ips if address not in ("", "None"))
    endpoints, target_port = _endpoints_of(ports[0], slices) if ports else ((), 0)
    # A headless service is asked at its endpoints; they are its addresses too.
    if not ports or not (addresses or endpoints):
        return None
    return Service(
        name=service.metadata.name,
        namespace=service.metadata.namespace,
        addresses=addresses or endpoints,
        port=ports[0].port if addresses else target_port,
        target_port=target_port or ports[0].port,
        endpoints=endpoints,
        protocol=ports[0].protocol.lower(),
        speaks="http" if _speaks_http(ports[0]) else "",
    )


def _speaks_http(port: schema.ServicePort) -> bool:
    """By its ``appProtocol``, else by the name of the port, as service meshes read them."""
    said = port.app_protocol or port.name.partition("-")[0]
    return said.lower() in {"http", "kubernetes.io/http"}


def _endpoints_of(
    port: schema.ServicePort, slices: Iterable[schema.EndpointSlice]
) -> tuple[tuple[str, ...], int]:
    """The addresses of endpoints in use and the port they answer on; 0 where no slice tells it.

    In use are ready endpoints. Where none is ready, they are those that still serve while they terminate, as
    kube-proxy does it (KEP-1669). A slice of names (``FQDN``) is left out: no packet goes to a name.
    """
    ends: list[schema.SliceEndpoint] = []
    target_port = 0
    for found in slices:
        if found.address_type not in _ADDRESS_TYPES:
            continue
        for candidate in found.ports or ():
            if (candidate.name or "") == port.name and candidate.protocol == port.protocol and candidate.port:
                target_port = candidate.port
                ends += found.endpoints or ()
    used = [end for end in ends if end.conditions.ready is not False]
    used = used or [end for end in ends if end.conditions.serving and end.conditions.terminating]
    return tuple(sorted({address for end in used for address in end.addresses[:1]})), target_port
