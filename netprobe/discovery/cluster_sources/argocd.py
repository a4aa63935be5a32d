"""Argo CD: clusters that applications are delivered to, one Secret each.

Read from argo-cd v3.5 (``docs/operator-manual/declarative-setup.md``). Whether Argo CD reaches a cluster is
in its own cache and not in the API; an Application that is called healthy is what people read instead, and it
stays so when its cluster is gone (argo-cd#8860). The cluster in which Argo CD runs has no Secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from netprobe.discovery.cluster_sources.api_addresses import decode_text, read_address, shown
from netprobe.discovery.cluster_sources.source import ADDRESSES, ClusterSource, addresses_in
from netprobe.discovery.fabrics.fields import MAX_NAME, FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import FabricKind, FabricObject, FabricObjects, Json, paths_below
from netprobe.model.clean_text import clean
from netprobe.model.declared_cluster import ApiAddress, ApiClaim, ApiClaimKind, DeclaredCluster
from netprobe.model.fabric import ClaimState

_TITLE = "Argo CD"
_STATES = {"Healthy": ClaimState.UP, "Unknown": ClaimState.UNKNOWN}
"""Any other health is about a workload and says nothing about its cluster."""


class _Program(msgspec.Struct, frozen=True):
    command: str = ""


class _Empty(msgspec.Struct, frozen=True):
    """Only whether it is there: everything in it is left out."""


class _ClientTls(msgspec.Struct, frozen=True, rename="camel"):
    insecure: bool = False
    ca_data: str | None = None
    server_name: str | None = None


class _ClientConfig(msgspec.Struct, frozen=True, rename="camel"):
    tls_client_config: _ClientTls | None = None
    exec_provider_config: _Program | None = None
    aws_auth_config: _Empty | None = None
    proxy_url: str | None = None


def _reduce(body: Json) -> Json:
    data = body.get("data")
    values = data if isinstance(data, dict) else {}
    name = clean(decode_text(values.get("name")))[:MAX_NAME].strip()
    return {"name": name, ADDRESSES: {"": _address(values)}}


def _address(values: dict[str, object]) -> ApiAddress:
    server = decode_text(values.get("server"))
    try:
        config = msgspec.json.decode(decode_text(values.get("config")) or "{}", type=_ClientConfig)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = read_address(server)
        return replace(found, problem=found.problem or "its config is not what Argo CD writes")
    tls = config.tls_client_config or _ClientTls()
    found = read_address(
        server,
        authority=tls.ca_data or "",
        tls_name=tls.server_name or "",
        is_unverified=tls.insecure,
        is_proxied=bool(config.proxy_url),
    )
    return replace(found, refused=(*found.refused, *_refused(config)))


def _refused(config: _ClientConfig) -> Iterator[str]:
    if config.exec_provider_config is not None:
        yield f"the exec plug-in {shown(config.exec_provider_config.command)}"
    if config.aws_auth_config is not None:
        yield "the AWS login"


SECRETS = FabricKind(
    "",
    "secrets",
    keeps=paths_below("data", "name", "server", "config"),
    selector="argocd.argoproj.io/secret-type=cluster",
    reduce=_reduce,
)
APPLICATIONS = FabricKind(
    "argoproj.io",
    "applications",
    keeps=(
        "spec.destination.server",
        "spec.destination.name",
        "status.health.status",
        "status.sync.status",
        "status.reconciledAt",
    ),
)


def _declared(objects: FabricObjects, notes: UnreadNotes) -> Iterator[DeclaredCluster]:
    said: dict[str, list[ApiClaim]] = {}
    for end, claim in _applications(objects, notes):
        said.setdefault(end, []).append(claim)
    for one in objects.of(SECRETS):
        if one.problem:
            notes.add(str(one.reference), "", one.problem)
            continue
        address = addresses_in(one).get("", ApiAddress())
        name = str(one.body.get("name") or "") or one.reference.name
        ends = dict.fromkeys(filter(None, (name, address.server)))
        claims = tuple(claim for end in ends for claim in said.get(end, ()))
        yield DeclaredCluster(_TITLE, name, address, one.reference, claims)


def _applications(objects: FabricObjects, notes: UnreadNotes) -> Iterator[tuple[str, ApiClaim]]:
    """What is claimed about each destination, by its server or its name."""
    for one in objects.of(APPLICATIONS):
        top = FieldReader.of(one, notes)
        destination, status = top.below("spec").below("destination"), top.below("status")
        end = read_address(destination.text("server")).server or destination.text("name")
        health = status.below("health").text("status")
        if end and health in _STATES:
            yield end, _claim(one, health, status)


def _claim(one: FabricObject, health: str, status: FieldReader) -> ApiClaim:
    """Healthy while the comparison with the cluster fails is a word that nothing measures."""
    compared = status.below("sync").text("status")
    state = _STATES[health]
    if state is ClaimState.UP and compared == "Unknown":
        state = ClaimState.UNVERIFIED
    message = f"sync is {compared}" if compared else ""
    heard_ns = status.moment_ns("reconciledAt")
    return ApiClaim(
        ApiClaimKind.ARGOCD_APPLICATION, one.reference, "status.health.status", health, state, message,
        heard_ns=heard_ns,
    )  # fmt: skip


SOURCE = ClusterSource("argocd", _TITLE, (SECRETS, APPLICATIONS), _declared)
