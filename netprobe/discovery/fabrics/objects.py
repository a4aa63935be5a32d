"""Objects of fabrics as they are kept: only the fields that an adapter names, and no secret.

Rules. Objects are untrusted. An adapter names the fields that it reads; everything else is dropped while the
object is decoded, before anything logs, keeps or compares it, and so are the fields that it names as secret.
``managedFields`` and ``last-applied-configuration``, which repeat a whole object, are never kept. An object
that is too large is kept as a name with its problem.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import msgspec

from netprobe.model.clean_text import clean
from netprobe.model.fabric import ObjectReference

MAX_OBJECT_BYTES = 1024 * 1024
"""An object that is larger is named and not read; a gateway with a thousand peers is just below. The API
server takes 1.5 MiB."""
MAX_LIST = 1024
"""Entries that are kept of one list, and one more, so that a reader sees that there were more."""
_MAX_STRING, _MAX_DEPTH = 65_536, 16
"""Characters that are kept of one text, more than a reader takes; and levels below a kept field."""
_MAX_ANNOTATION = 1024
"""Characters of an annotation or label that is kept."""
CONDITION = ("type", "status", "message")
"""What is read of an entry of ``conditions``."""
_MAX_SHARED = 64
"""A text that is not longer is kept once, however many objects hold it: states, ids of clusters."""
_NO_MARKS: Mapping[str, str] = {}
Json: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class FabricKind:
    """One kind of objects that an adapter reads. The API version is the server's, never written here."""

    group: str
    resource: str
    """Plural, as in the path."""
    keeps: tuple[str, ...]
    """The fields that are kept, dotted, each with all that is below it; ``*`` is every entry of a list, and a
    dot in a key is ``\\.``."""
    secrets: tuple[str, ...] = ()
    """Fields that hold secrets, dotted: dropped also where they are below a kept one. ``*`` is any key or
    every entry of a list."""
    annotations: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    selector: str = ""
    """Of labels, as the API takes it."""
    name: str = ""
    """The only name that is asked for; a right to this name is then enough."""
    is_marked: bool = False
    """Whether only objects with one of the annotations or labels are kept."""
    reduce: Callable[[Json], Json] | None = None
    """For objects that hold secrets: what is kept instead of the fields, made while the object is decoded."""

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{kind} {self.name}" if self.name else kind


@dataclass(frozen=True, slots=True)
class FabricMeta:
    """What is kept of an object's ``metadata``."""

    name: str
    namespace: str
    resource_version: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FabricObject:
    """One object, as far as it is kept."""

    reference: ObjectReference
    metadata: FabricMeta
    body: Json = field(default_factory=dict)
    problem: str = ""
    """Why nothing of it was read; empty where it was."""


@dataclass(frozen=True, slots=True)
class FabricObjects:
    """The objects of one fabric in one cluster, by kind."""

    by_kind: Mapping[FabricKind, tuple[FabricObject, ...]] = field(default_factory=dict)
    denied: tuple[FabricKind, ...] = ()
    """Kinds that are served and that we may not list."""

    def of(self, kind: FabricKind) -> tuple[FabricObject, ...]:
        """The objects of a kind, by namespace and name; none where it is not served."""
        return tuple(sorted(self.by_kind.get(kind, ()), key=lambda one: one.reference))


class _HeadMeta(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Head(msgspec.Struct, frozen=True):
    metadata: _HeadMeta


def paths_below(path: str, *names: str) -> tuple[str, ...]:
    """The dotted paths of several fields in one place.

    >>> paths_below("status.links.*", "a", "b")
    ('status.links.*.a', 'status.links.*.b')
    """
    return tuple(f"{path}.{name}" for name in names)


def decode_object(raw: bytes, kind: FabricKind) -> FabricObject | None:
    """Read an object as far as *kind* keeps it; None for one that is left out, or is none."""
    try:
        head = msgspec.json.decode(raw, type=_Head).metadata
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    meta = FabricMeta(
        head.name,
        head.namespace,
        head.resource_version,
        _choose(head.annotations, kind.annotations),
        _choose(head.labels, kind.labels),
    )
    if kind.is_marked and not (meta.annotations or meta.labels):
        return None
    reference = ObjectReference(kind.group, kind.resource, clean(head.namespace), clean(head.name))
    if len(raw) > MAX_OBJECT_BYTES:
        problem = f"has {len(raw):,} bytes, of {MAX_OBJECT_BYTES:,} at most"
        return FabricObject(reference, meta, problem=problem)
    try:
        whole = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return FabricObject(reference, meta, problem="cannot be decoded")
    body = _project(whole, _tree_of(kind))
    for path in kind.secrets:
        drop_field(body, read_path(path))
    kept: Json = body if isinstance(body, dict) else {}
    return FabricObject(reference, meta, kind.reduce(kept) if kind.reduce is not None else kept)


def read_path(path: str) -> list[str]:
    r"""The keys of a dotted path.

    >>> read_path(r"data.root\.pem")
    ['data', 'root.pem']
    """
    return [key.replace("\\.", ".") for key in re.split(r"(?<!\\)\.", path)]


def _choose(found: Mapping[str, str] | None, wanted: frozenset[str]) -> Mapping[str, str]:
    if not found or wanted.isdisjoint(found):
        return _NO_MARKS
    return {key: value for key, value in found.items() if key in wanted and len(value) <= _MAX_ANNOTATION}


_Tree: TypeAlias = "Mapping[str, _Tree | None]"
"""Fields to keep, by key; None keeps all that is below."""


@cache
def _tree_of(kind: FabricKind) -> _Tree:
    tree: dict[str, Any] = {}
    for path in kind.keeps:
        *way, last = read_path(path)
        below = tree
        for key in way:
            below = below.setdefault(key, {})
        below[last] = None
    return tree


def _project(found: object, tree: _Tree | None) -> object:
    """*found* without what *tree* leaves out; a list or mapping of the wrong kind is kept as an empty one."""
    if tree is None or not isinstance(found, dict | list):
        return _bounded(found, _MAX_DEPTH)
    if isinstance(found, list):
        return [_project(each, tree["*"]) for each in found[: MAX_LIST + 1]] if "*" in tree else []
    return {key: _project(found[key], below) for key, below in tree.items() if key in found}


def _bounded(found: object, depth: int) -> object:
    """*found* without what no reader takes, so that no object holds much memory."""
    if isinstance(found, str):
        return sys.intern(found) if len(found) <= _MAX_SHARED else found[:_MAX_STRING]
    if isinstance(found, list):
        return [_bounded(each, depth - 1) for each in found[: MAX_LIST + 1]] if depth else None
    if isinstance(found, dict):
        return {key: _bounded(each, depth - 1) for key, each in found.items()} if depth else None
    return found


def drop_field(found: object, keys: Iterable[str]) -> None:
    """Remove one field from decoded JSON, in place; ``*`` stands for any key and for entries of a list."""
    key, *rest = keys
    if isinstance(found, list):
        for each in found:
            drop_field(each, rest if key == "*" else [key, *rest])
    elif isinstance(found, dict):
        for name in list(found) if key == "*" else [key]:
            if not rest:
                found.pop(name, None)
            elif name in found:
                drop_field(found[name], rest)
