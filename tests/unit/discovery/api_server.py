"""A small server that speaks as much of the Kubernetes API as discovery needs; a test says what it tells."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from netprobe.discovery.k8s.facts import KINDS, watched_kinds

PATHS = {kind.path: kind.name for kind in (*KINDS, *watched_kinds("netprobe"))}
IDENTITY = "/apis/about.k8s.io/v1/clusterproperties/cluster.clusterset.k8s.io"
Json = dict[str, Any]


@dataclass(slots=True)
class Served:
    """What the server tells, and what it was asked."""

    url: str = ""
    items: dict[str, list[Json]] = field(default_factory=dict)
    """Objects by kind."""
    watches: dict[str, list[list[Json] | int]] = field(default_factory=dict)
    """By kind what each watch tells before it ends, or how it is refused; further ones stay quiet."""
    groups: list[str] = field(default_factory=list)
    identity: str | int = 404
    """The ClusterProperty's value, or the status it is refused with."""
    lists: Counter[str] = field(default_factory=Counter)
    watched: dict[str, list[str]] = field(default_factory=dict)
    """By kind the version that each watch began from."""
    forbidden: frozenset[str] = frozenset()
    """Resources that nothing may be done with, and single rights: a verb and a resource."""
    reviewed: list[str] = field(default_factory=list)
    """What was asked whether it may be done."""
    resources: dict[str, list[str]] = field(default_factory=dict)
    """By group and version (``submariner.io/v1``) the plurals that it has; their objects are in `items`."""
    preferred: dict[str, str] = field(default_factory=dict)
    """By group its preferred version, where that is not the first of `resources`."""
    asked: list[str] = field(default_factory=list)
    """Every path that was asked for."""
    objects: dict[str, Json] = field(default_factory=dict)
    """Single objects by their paths."""
    go: asyncio.Event = field(default_factory=asyncio.Event)
    """No watch tells or is refused anything before."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.asked.append(path)
        if path == "/version":
            return web.json_response({"gitVersion": "v1.36.2"})
        if path == "/apis":
            return web.json_response({"groups": [self._group(name) for name in self._groups()]})
        if (version := path.removeprefix("/apis/")) in self.resources:
            return web.json_response({"resources": [{"name": name} for name in self.resources[version]]})
        if path == IDENTITY:
            if isinstance(self.identity, int):
                return web.json_response({"message": "no"}, status=self.identity)
            return web.json_response({"metadata": {}, "spec": {"value": self.identity}})
        if request.method == "POST":  # a review: whether we may do something
            asked = (await request.json())["spec"]["resourceAttributes"]
            what = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
            self.reviewed.append(f"{asked['verb']} {what}")
            is_allowed = not {what, f"{asked['verb']} {what}"} & self.forbidden
            return web.json_response({"status": {"allowed": is_allowed}})
        if path == "/api/v1/namespaces/kube-system":
            return web.json_response({"metadata": {"name": "kube-system", "uid": self.url}})
        if path in self.objects:
            return web.json_response(self.objects[path])
        return await self._answer_collection(path, request)

    async def _answer_collection(self, path: str, request: web.Request) -> web.StreamResponse:
        kind = PATHS.get(path) or self._find_resource(path)
        if kind is None:
            return web.json_response({"message": "nothing"}, status=404)
        if kind in self.forbidden:
            return web.json_response({"message": f"{kind} is forbidden"}, status=403)
        if "watch" in request.query:
            return await self._watch(kind, request)
        self.lists[kind] += 1
        items = self.items.get(kind, [])
        return web.json_response({"metadata": {"resourceVersion": "5"}, "items": items})

    def _groups(self) -> list[str]:
        return list(dict.fromkeys((*self.groups, *(one.partition("/")[0] for one in self.resources))))

    def _group(self, name: str) -> Json:
        versions = [one for one in self.resources if one.startswith(f"{name}/")]
        if not versions:
            return {"name": name}
        preferred = self.preferred.get(name, versions[0])
        listed = [{"groupVersion": one, "version": one.partition("/")[2]} for one in versions]
        return {"name": name, "versions": listed, "preferredVersion": {"groupVersion": preferred}}

    def _find_resource(self, path: str) -> str | None:
        """The plural of a collection of `resources`."""
        version, _, name = path.removeprefix("/apis/").rpartition("/")
        return name if name in self.resources.get(version, ()) else None

    async def _watch(self, kind: str, request: web.Request) -> web.StreamResponse:
        self.watched.setdefault(kind, []).append(request.query["resourceVersion"])
        left = self.watches.get(kind, [])
        told = left.pop(0) if left else None
        if told is not None:
            await self.go.wait()
        if isinstance(told, int):
            return web.json_response({"message": "too old"}, status=told)
        response = web.StreamResponse()
        await response.prepare(request)
        for event in told or ():
            await response.write(json.dumps(event).encode() + b"\n")
        if told is None:
            await asyncio.Event().wait()  # quiet until the client goes
        return response


@asynccontextmanager
async def serve(served: Served, *, context: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    """Serve on a free port of 127.0.0.1."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", served.answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        served.url = f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()


def write_kubeconfig(path: Path, server: str, *, authority: bytes = b"", **cluster: str) -> Path:
    """A kubeconfig with one context ``x``; *cluster* are further fields of its cluster, ``_`` for ``-``."""
    told = {key.replace("_", "-"): value for key, value in cluster.items()} | {"server": server}
    if authority:
        told["certificate-authority-data"] = base64.b64encode(authority).decode()
    document = {
        "clusters": [{"name": "x", "cluster": told}],
        "users": [{"name": "x", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))
    return path
