"""Kubeconfig files: which contexts there are, and a client for one of them.

Rules. Each file is loaded by itself: the client library merges several in a way that can join a context with
the server and token of a namesake in another file. Of two contexts of one name, the first file's counts, and
the first file that has a ``current-context`` says which is current, as kubectl reads them. What kubectl
understands and the library does not is either done here (a plug-in beside the file, ``tokenFile`` before
``token``) or refused (``as``, SOCKS); read in client-go 0.36. A client without
the credentials that its context names is never handed out: the library only logs that a plug-in failed.
"""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config
from kubernetes.aio.config.kube_config import KubeConfigLoader

from netprobe.discovery.k8s.kubeconfig_schema import KubeconfigDoc, UserDoc, read_kubeconfig
from netprobe.errors import InputError, SystemRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

IN_CLUSTER = "in-cluster"
"""The name of the context that the ServiceAccount of the pod around us makes."""


@dataclass(frozen=True, slots=True)
class Context:
    """One way to reach one cluster. Its name says how it is reached, not which cluster it is."""

    name: str
    file: Path | None
    """Where it is written; None inside a pod."""
    server: str = ""
    plugin: str = ""
    """The exec plug-in that gives its credentials; empty for others."""
    through: str = ""
    """``host:port`` that leads to the server; empty where it is reached itself."""

    def __str__(self) -> str:
        return f"context {self.name!r} of {self.file}" if self.file else "the pod's own ServiceAccount"


@dataclass(frozen=True, slots=True)
class Contexts:
    """Every context that was found, in the order of the files."""

    all: tuple[Context, ...]
    current: str = ""

    def choose(self, names: Sequence[str] = (), *, everything: bool = False) -> tuple[Context, ...]:
        """The contexts of these *names* in their order, or all, or the current one; each once."""
        if everything:
            return self.all
        wanted = tuple(dict.fromkeys(names)) or ((self.current,) if self.current else ())
        if not wanted:
            raise InputError("no context is current: name one with --context, or use --all-contexts")
        return tuple(self._find(name) for name in wanted)

    def _find(self, name: str) -> Context:
        for context in self.all:
            if context.name == name:
                return context
        known = ", ".join(context.name for context in self.all[:8]) or "none at all"
        raise InputError(f"no context is called {name!r}; there are: {known}", where="--context")


def find_kubeconfigs(environ: Mapping[str, str], *, home: Path) -> tuple[Path, ...]:
    """The files that ``KUBECONFIG`` names, else ``~/.kube/config``; missing ones are left out."""
    named = [Path(part).expanduser() for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return tuple(path for path in named or [home / ".kube" / "config"] if path.exists())


def read_contexts(files: Iterable[Path]) -> Contexts:
    """Read every file; each mistake is one :class:`InputError` naming file and field."""
    found: dict[str, Context] = {}
    current = ""
    for file in files:
        document = read_kubeconfig(file)
        current = current or document.current_context
        for context in _contexts_of(document, file):
            found.setdefault(context.name, context)
    return Contexts(tuple(found.values()), current)


def _contexts_of(document: KubeconfigDoc, file: Path) -> Iterable[Context]:
    servers = {entry.name: entry.cluster.server for entry in document.clusters or ()}
    users: dict[str, UserDoc] = {entry.name: entry.user or UserDoc() for entry in document.users or ()}
    for entry in document.contexts or ():
        user = users.get(entry.context.user, UserDoc())
        yield Context(
            entry.name,
            file,
            servers.get(entry.context.cluster, ""),
            user.exec.command if user.exec else "",
        )


async def open_client(context: Context) -> ApiClient:
    """Return a client for *context*; the caller closes it.

    Raises :class:`InputError` for what is written wrong and :class:`SystemRefusedError` for an exec plug-in
    that fails; it is run once per call.
    """
    # The library hands out copies of one shared default otherwise.
    configuration = type.__call__(Configuration)
    try:
        if context.file is None:
            load_incluster_config(client_configuration=configuration)
        else:
            await _load(context, context.file, configuration)
        if context.through:
            _route_through(configuration, context.through)
        return ApiClient(configuration=configuration)
    except ConfigException as error:
        raise InputError(str(error), where=str(context)) from error
    except (OSError, ValueError) as error:
        raise InputError(f"its credentials cannot be read: {error}", where=str(context)) from error


def _route_through(configuration: Configuration, through: str) -> None:
    """Connect to *through*; the server is still expected to prove its own name."""
    parts = urlsplit(configuration.host)
    configuration.tls_server_name = configuration.tls_server_name or parts.hostname
    configuration.host = parts._replace(netloc=through).geturl()


async def _load(context: Context, file: Path, configuration: Configuration) -> None:
    complaints: list[str] = []
    token = _complaints.set(complaints)
    try:
        await _loader(context, file).load_and_set(configuration)
    finally:
        _complaints.reset(token)
    if bearer := configuration.api_key.get("BearerToken"):
        # A token file ends with a newline more often than not; a header may not hold one.
        configuration.api_key["BearerToken"] = bearer.strip()
    elif context.plugin and not configuration.cert_file:
        why = "; ".join(complaints) or "it gave neither a token nor a certificate"
        raise SystemRefusedError(f"{context}: the exec plug-in {context.plugin!r} failed: {_one_line(why)}")


def _loader(context: Context, file: Path) -> KubeConfigLoader:
    folder = file.absolute().parent
    return KubeConfigLoader(_read_as_kubectl(context, file), context.name, config_base_path=str(folder))


_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


def _read_as_kubectl(context: Context, file: Path) -> dict[str, Any]:
    """The file for the library, changed to what kubectl makes of it; raises :class:`InputError`."""
    document: dict[str, Any] = yaml.safe_load(file.read_bytes()) or {}
    chosen = _entry(document, "contexts", context.name, "context")
    user = _entry(document, "users", str(chosen.get("user", "")), "user")
    cluster = _entry(document, "clusters", str(chosen.get("cluster", "")), "cluster")
    if found := [field for field in _IMPERSONATION if user.get(field)]:
        told = f"{found[0]} is not supported: without it requests would have the rights of the user itself"
        raise InputError(told, where=str(context))
    proxy = str(cluster.get("proxy-url") or "")
    if proxy.lower().startswith("socks"):
        told = f"proxy-url {proxy.partition(':')[0]}: SOCKS is not supported: use an HTTP proxy, or a tunnel"
        raise InputError(told, where=str(context))
    if user.get("tokenFile"):
        user.pop("token", None)
    plugin = user.get("exec")
    if isinstance(plugin, dict) and "/" in (command := str(plugin.get("command") or "")):
        plugin["command"] = str(file.absolute().parent / command)
    return document


def _entry(document: dict[str, Any], kind: str, called: str, content: str) -> dict[str, Any]:
    """What the first entry of that name holds; the library reads the first as well."""
    for entry in document.get(kind) or ():
        if entry.get("name") == called:
            return entry.get(content) or {}
    return {}


def _one_line(complaint: str) -> str:
    """One short line of what the library logged, which shows the plug-in's stderr as ``b'…'``."""
    line = complaint.replace("\\n", " ").replace("b'", "'").replace("exec: ", "")
    return " ".join(line.split())[:400]


_complaints: ContextVar[list[str] | None] = ContextVar("complaints", default=None)


class _Collect(logging.Handler):
    """Takes what the library logs while it loads, so that the error we raise can say it."""

    def emit(self, record: logging.LogRecord) -> None:
        complaints = _complaints.get()
        if complaints is not None and record.levelno >= logging.ERROR:
            complaints.append(record.getMessage())


_library = logging.getLogger("kubernetes.aio.config.kube_config")
_library.addHandler(_Collect())
_library.propagate = False
