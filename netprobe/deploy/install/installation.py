"""Putting netprobe into clusters: first the hub's bus, then who may come in, then the agents.

Rules. Everything is applied server-side, so doing it again changes nothing and mends what was half done. What
only the hub keeps (the bus's authority, who may ask) is made once and found again. A cluster that fails names
itself and hinders no other.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from netprobe.bus.certificates import CertificatePair, make_authority, sign_server
from netprobe.bus.keys import new_user, public_key
from netprobe.deploy.install import objects
from netprobe.deploy.install.objects import AgentSettings, Images
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.schema import Named
from netprobe.discovery.k8s.token_issuer import read_issuer
from netprobe.discovery.k8s.token_request import request_token
from netprobe.model.names import ClusterName
from netprobe.wire.clusters import RegisteredDoc
from netprobe.wire.manifests import Manifest

_SECRETS = f"/api/v1/namespaces/{objects.NAMESPACE}/secrets"
_OWN_NAMES = (
    "netprobe-bus", "netprobe-bus.netprobe", "netprobe-bus.netprobe.svc",
    "netprobe-bus.netprobe.svc.cluster.local", "localhost", "127.0.0.1",
)  # fmt: skip
"""What the bus is called from inside the hub, and through a port-forward."""

Say = Callable[[str], None]


class _Secret(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}

    def read(self) -> dict[str, bytes]:
        return {key: base64.b64decode(value) for key, value in self.data.items()}


@dataclass(frozen=True, slots=True)
class InstallTarget:
    """One cluster to install in."""

    api: ClusterApi
    name: ClusterName
    server: str
    """How its API is reached from the hub."""
    ca: str
    """Who signed its API's certificate: base64 of PEM, as in a kubeconfig."""


async def apply_all(api: ClusterApi, manifests: Iterable[Manifest]) -> None:
    """Apply *manifests* one after the other."""
    for manifest in manifests:
        await api.apply(objects.path_of(manifest), manifest, Named)


async def install_hub(
    target: InstallTarget, images: Images, *, names: Iterable[str], service: str, now: datetime, say: Say
) -> CertificatePair:
    """The namespace, rights, the bus's certificate, the collector; *names* are what the bus is called."""
    api = target.api
    await apply_all(api, [objects.namespace_object(), *objects.reader_objects()])
    kept = (await _read_secret(api, objects.AUTHORITY_SECRET)) or {}
    authority = CertificatePair(kept["tls.crt"], kept["tls.key"]) if kept else make_authority(now=now)
    shown = sign_server(authority, (*_OWN_NAMES, *names), now=now)
    operators = await _read_secret(api, objects.OPERATORS_SECRET) or _new_operators(authority)
    clusters = await _read_secret(api, objects.CLUSTERS_SECRET) or {}
    metrics = await _read_secret(api, objects.METRICS_SECRET) or {"token": secrets.token_hex(32).encode()}
    await apply_all(
        api,
        [
            _pair_secret(objects.AUTHORITY_SECRET, authority),
            _pair_secret(objects.TLS_SECRET, shown),
            objects.secret(objects.OPERATORS_SECRET, operators),
            objects.secret(objects.CLUSTERS_SECRET, clusters),
            objects.secret(objects.METRICS_SECRET, metrics),
            *objects.collector_objects(images, service=service),
        ],
    )
    say(f"{target.name}: the collector and its bus are there")
    return authority


async def install_reader(target: InstallTarget, *, is_hub: bool, say: Say) -> dict[str, bytes]:
    """What the hub has to know of a cluster: the entries of its registry."""
    await apply_all(target.api, [objects.namespace_object(), *objects.reader_objects()])
    issuer = await read_issuer(target.api)
    file = f"{target.name}.kubeconfig"
    doc = RegisteredDoc(
        target.name, issuer.name, issuer.keys, kubeconfig="" if is_hub else file, in_cluster=is_hub,
        account="" if is_hub else objects.READER,
    )  # fmt: skip
    entries = {f"{target.name}.yaml": msgspec.json.encode(doc)}
    if not is_hub:
        token = await request_token(
            target.api, objects.READER, namespace=objects.NAMESPACE, lifetime_s=objects.READER_TOKEN_S,
            bound_to=objects.READER_LEASE,
        )  # fmt: skip
        entries[file] = _kubeconfig(target, token)
    say(f"{target.name}: signs with {len(issuer.keys)} key(s) of {issuer.name}")
    return entries


async def register(hub: ClusterApi, entries: dict[str, bytes]) -> None:
    """Add *entries* to the hub's registry; existing entries stay."""
    known = await _read_secret(hub, objects.CLUSTERS_SECRET) or {}
    await apply_all(hub, [objects.secret(objects.CLUSTERS_SECRET, known | entries)])


async def retire_old_reader(target: InstallTarget, *, say: Say) -> None:
    """Delete the Secret of earlier builds, and with it a token that never expired."""
    try:
        await target.api.delete(f"{_SECRETS}/{objects.OLD_READER_SECRET}")
    except ApiRefusedError as error:
        say(
            f"{target.name}: delete the Secret {objects.OLD_READER_SECRET}: its token never expires ({error})"
        )


async def unregister(hub: ClusterApi, names: Iterable[ClusterName]) -> None:
    """Take clusters out of the hub's registry, if there is one."""
    known = await _read_secret(hub, objects.CLUSTERS_SECRET)
    gone = {f"{name}.{end}" for name in names for end in ("yaml", "kubeconfig")}
    if known is not None and gone & known.keys():
        left = {key: value for key, value in known.items() if key not in gone}
        await apply_all(hub, [objects.secret(objects.CLUSTERS_SECRET, left)])


async def install_agents(
    target: InstallTarget, authority: CertificatePair, url: str, images: Images, *, say: Say
) -> None:
    """The agents of both planes."""
    settings = AgentSettings(target.name, url, authority.certificate.decode())
    await apply_all(target.api, objects.agent_objects(settings, images))
    say(f"{target.name}: the agents are applied")


async def _read_secret(api: ClusterApi, name: str) -> dict[str, bytes] | None:
    try:
        return (await api.get(f"{_SECRETS}/{name}", _Secret)).read()
    except ApiRefusedError as error:
        if error.code != 404:
            raise
        return None


def _pair_secret(name: str, pair: CertificatePair) -> Manifest:
    return objects.secret(name, {"tls.crt": pair.certificate, "tls.key": pair.key})


def _new_operators(authority: CertificatePair) -> dict[str, bytes]:
    """A first operator; everyone who may read this Secret can use its seed."""
    seed, _ = new_user()
    keys = json.dumps({"agents": {}, "operators": [public_key(seed)]})
    return {"keys.json": keys.encode(), "seed": seed.encode(), "ca.crt": authority.certificate}


def _kubeconfig(target: InstallTarget, token: str) -> bytes:
    cluster = {"server": target.server} | ({"certificate-authority-data": target.ca} if target.ca else {})
    name = str(target.name)
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }  # fmt: skip
    return json.dumps(document).encode()
