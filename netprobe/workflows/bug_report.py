"""What a bug report needs, gathered in files: evidence, fabric objects, versions.

Rules. Of an object only the fields that an adapter keeps are gathered; of an inventory, no logins. A cluster
that cannot be read is a line, and hides no other.
"""

from __future__ import annotations

import asyncio
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import msgspec

from netprobe import __version__
from netprobe.discovery.fabrics.objects import FabricObject, FabricObjects
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.clusters import name_clusters, read_clusters
from netprobe.discovery.k8s.fabric_objects import read_fabric_objects
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.errors import NetprobeError
from netprobe.model.snapshot import Snapshot
from netprobe.render.documents.snapshot import Document
from netprobe.render.terminal.clusters import clusters_document
from netprobe.store.bundle import build_files

MAX_OBJECTS = 10_000
"""Of one kind in one cluster; further ones are counted."""
_LIBRARIES = ("aiohttp", "asyncssh", "kubernetes", "msgspec", "nats-py", "networkx", "numpy", "scapy")
_LOGIN = re.compile(r"://[^/\s\"@]*@")
"""A user name, perhaps with a password, in a URL."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Gathered:
    """Files by their names, and what could not be gathered."""

    files: dict[str, bytes]
    problems: tuple[str, ...] = ()


def gather_evidence(snapshot: Snapshot) -> dict[str, bytes]:
    """The snapshot as an evidence bundle, in the directory ``evidence``."""
    return {f"evidence/{name}": raw for name, raw in build_files(snapshot).items()}


def gather_versions() -> dict[str, bytes]:
    """What runs here, without the name of the machine."""
    found: Document = {
        "schema": "netprobe/versions",
        "version": 1,
        "netprobe": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libraries": {name: _version_of(name) for name in _LIBRARIES},
        "implementation": sys.implementation.name,
    }
    return {"versions.json": _write(found)}


async def gather_clusters(contexts: Sequence[Context], *, timeout_s: float) -> Gathered:
    """What each cluster is, and the objects of its fabrics; at most *timeout_s* for each."""
    readings = await read_clusters(contexts, timeout_s=timeout_s)
    files = {"clusters.json": _write(clusters_document(readings))}
    names = name_clusters(contexts)
    answers = await asyncio.gather(*(_read(context, timeout_s=timeout_s) for context in contexts))
    problems = []
    for context, found in zip(contexts, answers, strict=True):
        if isinstance(found, str):
            problems.append(f"{names[context]}: {_without_logins(found)}")
        else:
            stem = _UNSAFE.sub("-", names[context]) or "cluster"
            files[f"fabrics/{stem}.json"] = _write(_document(names[context], found))
    return Gathered(files, tuple(problems))


async def _read(context: Context, *, timeout_s: float) -> FabricObjects | str:
    """The fabric objects behind a context, or why they cannot be read."""
    try:
        async with asyncio.timeout(timeout_s), open_api(context) as api:
            return await read_fabric_objects(api)
    except TimeoutError:
        return f"{context}: gave no answer within {timeout_s:g} s"
    except NetprobeError as error:
        return str(error)


def _document(cluster: str, objects: FabricObjects) -> Document:
    return {
        "schema": "netprobe/fabric-objects",
        "version": 1,
        "cluster": cluster,
        "kinds": [
            {
                "kind": str(kind),
                "count": len(found),
                "objects": [_object(one) for one in found[:MAX_OBJECTS]],
            }
            for kind, found in objects.by_kind.items()
        ],
        "denied": [str(kind) for kind in objects.denied],
    }


def _object(one: FabricObject) -> Document:
    meta = one.metadata
    return {
        "object": str(one.reference), "annotations": dict(meta.annotations), "labels": dict(meta.labels),
        "problem": one.problem or None, "kept": one.body,
    }  # fmt: skip


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _write(document: Document) -> bytes:
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    return _without_logins(text).encode() + b"\n"


def _without_logins(text: str) -> str:
    return _LOGIN.sub("://", text)
