"""API servers as strangers write them down: URLs, certificates and whole kubeconfigs, without any credential.

Rules. Only the server, the certificates that prove it and the names of what is refused leave this module.
Nothing is executed, no file is opened, no proxy is used and no name is resolved here. Nothing raises for what
is in a value; what is wrong is one line of the address.
"""

from __future__ import annotations

import ipaddress
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from netprobe.discovery.fabrics.fields import read_certificates
from netprobe.discovery.k8s.kubeconfig_schema import (
    KubeconfigClusterDoc,
    KubeconfigDoc,
    UserDoc,
    parse_kubeconfig,
)
from netprobe.errors import InputError
from netprobe.model.clean_text import clean
from netprobe.model.declared_cluster import ApiAddress

MAX_KUBECONFIG = 48 * 1024
"""Characters of a kubeconfig that is read: what an object keeps of one text, decoded."""
_MAX_URL, _MAX_SHOWN = 1024, 64
_NO_CERTIFICATE = "a CA bundle that holds no certificate"


def read_address(
    url: str, *, authority: str = "", authorities: tuple[bytes, ...] = (), tls_name: str = "",
    is_unverified: bool = False, is_proxied: bool = False,
) -> ApiAddress:  # fmt: skip
    """An API server by its URL; *authority* is PEM, as it is or in base64, *authorities* are DER."""
    server, problem, refused = _read_url(url)
    read, unread = _read_authority(authority) if authority else ((), "")
    authorities = (*authorities, *read)
    refused += (unread,) if unread else ()
    if unread and not problem:
        problem = "its CA cannot be read"
    if is_proxied and not problem:
        problem = "it is reached through a proxy"
    name = clean(tls_name)[:_MAX_URL]
    return ApiAddress(server, authorities, name, is_unverified, is_proxied, problem, refused)


def read_embedded_kubeconfig(text: str) -> ApiAddress:
    """The server of the current context of a kubeconfig, or of its only cluster."""
    if len(text) > MAX_KUBECONFIG:
        return ApiAddress(problem=f"its kubeconfig has more than {MAX_KUBECONFIG:,} characters")
    try:
        document = parse_kubeconfig(text)
    except InputError:
        return ApiAddress(problem="its value is not a kubeconfig")
    cluster, user = _current(document)
    if cluster is None:
        return ApiAddress(problem="its kubeconfig does not say which cluster is current")
    found = read_address(
        cluster.server,
        authority=cluster.certificate_authority_data or "",
        tls_name=cluster.tls_server_name or "",
        is_unverified=cluster.insecure_skip_tls_verify is True,
        is_proxied=bool(cluster.proxy_url),
    )
    problem = found.problem
    if cluster.certificate_authority and not cluster.certificate_authority_data:
        problem = problem or "its CA is in a file, which is not read"
    return replace(found, problem=problem, refused=(*found.refused, *_refused(cluster, user)))


def decode_text(value: object) -> str:
    """A value of a Secret's ``data``; empty for what is not base64 of a text."""
    if not isinstance(value, str):
        return ""
    try:
        return b64decode(value, validate=True).decode()
    except ValueError:
        return ""


def _current(document: KubeconfigDoc) -> tuple[KubeconfigClusterDoc | None, UserDoc]:
    clusters = {entry.name: entry.cluster for entry in reversed(document.clusters or ())}
    users = {entry.name: entry.user or UserDoc() for entry in reversed(document.users or ())}
    contexts = {entry.name: entry.context for entry in reversed(document.contexts or ())}
    if (current := contexts.get(document.current_context)) is not None:
        return clusters.get(current.cluster), users.get(current.user, UserDoc())
    only = next(iter(clusters.values())) if len(clusters) == 1 else None
    return only, next(iter(users.values())) if len(users) == 1 else UserDoc()


def _refused(cluster: KubeconfigClusterDoc, user: UserDoc) -> Iterator[str]:
    """Programs and files that the entry names."""
    if user.exec is not None:
        yield f"the exec plug-in {shown(user.exec.command)}"
    if user.auth_provider is not None:
        yield f"the auth provider {shown(user.auth_provider.name)}"
    files = {
        "certificate-authority": cluster.certificate_authority,
        "tokenFile": user.token_file,
        "client-certificate": user.client_certificate,
        "client-key": user.client_key,
    }
    yield from (f"the file in {field}" for field, path in files.items() if path)


def shown(name: str) -> str:
    """A name from outside, for a line about it: cleaned and short.

    >>> shown("aws")
    "'aws'"
    """
    line = " ".join(clean(name[: 2 * _MAX_SHOWN]).split())
    return repr(line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…")


def _read_authority(text: str) -> tuple[tuple[bytes, ...], str]:
    if "-----BEGIN" not in text:
        text = decode_text("".join(text.split()))
    certificates, are_all_read = read_certificates(text)
    return certificates, "" if certificates and are_all_read else _NO_CERTIFICATE


def _read_url(text: str) -> tuple[str, str, tuple[str, ...]]:
    """A URL without credentials, why it cannot be asked, and what of it was left out."""
    text = text.strip()
    if not text:
        return "", "no API server is declared", ()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if len(text) > _MAX_URL or not host or parts.scheme not in {"http", "https"} or host != clean(host):
        return "", "its API server is not a URL", ()
    left_out = {
        "a user name in its URL": "@" in parts.netloc,
        "the query of its URL": bool(parts.query or parts.fragment),
    }
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    server = clean(f"{parts.scheme}://{place}{parts.path.rstrip('/')}")
    return (
        server,
        _find_hindrance(parts.scheme, host),
        tuple(what for what, is_so in left_out.items() if is_so),
    )


def _find_hindrance(scheme: str, host: str) -> str:
    """Why a server of this name is not asked from here."""
    if scheme != "https":
        return "it is declared without TLS"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "its name leads back to who asks" if f".{host}".endswith(".localhost") else ""
    nowhere = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
    return "its address leads back to who asks, or nowhere" if nowhere else ""
