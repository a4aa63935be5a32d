"""Evidence bundles: one moment of the fleet as a directory that anybody can read, check and redraw offline.

Rules: what is read equals what was written; a bundle is there whole or not at all; every file is named
with its SHA-256 in ``manifest.json``, and nothing is believed before the sums agree. What people read is
plain JSON; the long lists are gzipped JSON lines (``zcat checks.jsonl.gz``).

========================  ==========================================================================
``manifest.json``         format and version, who wrote it, when it was taken, the sum of each file
``inventory.json``        what is there
``findings.json``         open and past findings
``states.json``           agents, coverage, the collector's counters, claims
``checks.jsonl.gz``       one check per line
``legs.jsonl.gz``         first line: every component; then per check the numbers of those it crosses
``paths.jsonl.gz``        one path state per line
``windows.jsonl.gz``      history, one report per line; only where there is one
========================  ==========================================================================
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from netprobe import __version__
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.check import Check, Legs
from netprobe.model.component import Component
from netprobe.model.fabric import Claim
from netprobe.model.finding import Finding
from netprobe.model.fleet import Coverage
from netprobe.model.inventory import Inventory
from netprobe.model.names import CheckId
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.status import AgentStatus, PathStatus
from netprobe.model.window import Report
from netprobe.wire.snapshots import AgentStatusDocument, read_statuses, write_statuses

T = TypeVar("T")

FORMAT = "netprobe-evidence"
VERSION = 1
MANIFEST = "manifest.json"
_INVENTORY, _FINDINGS, _STATES = "inventory.json", "findings.json", "states.json"
_CHECKS, _LEGS, _PATHS, _WINDOWS = "checks.jsonl.gz", "legs.jsonl.gz", "paths.jsonl.gz", "windows.jsonl.gz"
_REQUIRED = frozenset((_INVENTORY, _FINDINGS, _STATES, _CHECKS, _LEGS, _PATHS))
_MAX_UNPACKED = 1 << 30
"""Bytes one packed file may unfold to: a crafted bundle must not fill the memory."""

_MAX_MANIFEST_BYTES = 1 << 20
_Int63 = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

_encoder = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds: the fleet at one moment and, where it was kept, the history before it."""

    snapshot: Snapshot
    reports: tuple[Report, ...] = ()


class _FileEntry(msgspec.Struct, frozen=True):
    sha256: str
    bytes: _Int63


class _Manifest(msgspec.Struct, frozen=True):
    format: str
    version: int
    netprobe: str
    taken: str
    taken_ns: _Int63
    interval_ns: _Int63
    files: dict[str, _FileEntry]


class _Findings(msgspec.Struct, frozen=True):
    open: tuple[Finding, ...]
    past: tuple[Finding, ...]


class _States(msgspec.Struct, frozen=True):
    agents: tuple[AgentStatusDocument, ...]
    coverage: Coverage
    counters: Counters
    claims: tuple[Claim, ...] = ()


class _NumberedLegs(msgspec.Struct, frozen=True, array_like=True):
    check: CheckId
    forward: tuple[int, ...]
    back: tuple[int, ...]
    forward_others: tuple[tuple[int, ...], ...] = ()
    back_others: tuple[tuple[int, ...], ...] = ()


# --- writing ---------------------------------------------------------------------------------


def write_bundle(path: Path, snapshot: Snapshot, reports: Iterable[Report] = ()) -> None:
    """Write *snapshot* (and *reports* as its history) to the directory *path*, whole or not at all.

    An older bundle at *path* is replaced; anything else there is left alone and an :class:`InputError`.
    """
    if path.exists() and not _may_replace(path):
        raise InputError("exists and is not an evidence bundle; it was left alone", where=str(path))
    files = build_files(snapshot, tuple(reports))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
            fresh, old = Path(scratch) / "fresh", Path(scratch) / "old"
            fresh.mkdir()
            for name, raw in files.items():
                (fresh / name).write_bytes(raw)
            if path.exists():
                path.rename(old)
            fresh.rename(path)
    except OSError as error:
        raise SystemRefusedError(f"{path}: cannot be written: {error.strerror or error}") from error


def _may_replace(path: Path) -> bool:
    return path.is_dir() and ((path / MANIFEST).is_file() or not any(path.iterdir()))


def build_files(snapshot: Snapshot, reports: tuple[Report, ...] = ()) -> dict[str, bytes]:
    """Every file of a bundle by its name, its manifest too."""
    files = {
        _INVENTORY: _pretty(_without_logins(snapshot.inventory)),
        _FINDINGS: _pretty(_Findings(snapshot.findings, snapshot.past_findings)),
        _STATES: _pretty(
            _States(write_statuses(snapshot.agents), snapshot.coverage, snapshot.counters, snapshot.claims)
        ),
        _CHECKS: _pack(snapshot.checks),
        _LEGS: _pack_legs(snapshot.legs),
        _PATHS: _pack(snapshot.paths),
    }
    if reports:
        files[_WINDOWS] = _pack(reports)
    manifest = _Manifest(
        format=FORMAT,
        version=VERSION,
        netprobe=__version__,
        taken=datetime.fromtimestamp(snapshot.taken_ns // 1_000_000_000, UTC).isoformat(),
        taken_ns=snapshot.taken_ns,
        interval_ns=snapshot.interval_ns,
        files={name: _FileEntry(_sum(raw), len(raw)) for name, raw in sorted(files.items())},
    )
    return {**files, MANIFEST: _pretty(manifest)}


def _without_logins(inventory: Inventory) -> Inventory:
    """Bundles are made to be passed on: how hosts are reached by SSH, and as whom, stays here."""
    clusters = (
        replace(cluster, nodes=tuple(replace(node, ssh=None) for node in cluster.nodes))
        for cluster in inventory.clusters
    )
    return replace(inventory, clusters=tuple(clusters), forwards=())


def _pretty(value: object) -> bytes:
    return msgspec.json.format(_encoder.encode(value), indent=2) + b"\n"


def _pack(lines: Iterable[object]) -> bytes:
    text = b"".join(_encoder.encode(line) + b"\n" for line in lines)
    return gzip.compress(text, mtime=0)  # no time stamp: equal snapshots give equal files


def _pack_legs(legs: tuple[Legs, ...]) -> bytes:
    components = sorted({each for one in legs for each in one.crossed})
    number = {component: index for index, component in enumerate(components)}

    def numbered(way: tuple[Component, ...]) -> tuple[int, ...]:
        return tuple(number[each] for each in way)

    rows = (
        _NumberedLegs(
            one.check,
            numbered(one.forward),
            numbered(one.back),
            tuple(map(numbered, one.forward_others)),
            tuple(map(numbered, one.back_others)),
        )
        for one in legs
    )
    return _pack((components, *rows))


def _sum(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


# --- reading ---------------------------------------------------------------------------------


def read_bundle(path: Path) -> Bundle:
    """Read the bundle at *path*.

    Raises :class:`InputError`: one line naming the file and what is wrong with it, be it missing, damaged,
    of another version, or not readable.
    """
    if not path.is_dir():
        raise InputError("is not an evidence bundle: no such directory", where=str(path))
    manifest = _read_manifest(path / MANIFEST)
    raw = {name: _read_file(path / name, entry) for name, entry in manifest.files.items()}
    findings = _decode(path / _FINDINGS, raw[_FINDINGS], _Findings)
    states = _decode(path / _STATES, raw[_STATES], _States)
    snapshot = Snapshot(
        taken_ns=manifest.taken_ns,
        interval_ns=manifest.interval_ns,
        inventory=_decode(path / _INVENTORY, raw[_INVENTORY], Inventory),
        checks=_unpack(path / _CHECKS, raw[_CHECKS], Check),
        legs=_unpack_legs(path / _LEGS, raw[_LEGS]),
        coverage=states.coverage,
        paths=_unpack(path / _PATHS, raw[_PATHS], PathStatus),
        agents=_read_agents(path / _STATES, states),
        findings=findings.open,
        past_findings=findings.past,
        counters=states.counters,
        claims=states.claims,
    )
    reports = _unpack(path / _WINDOWS, raw[_WINDOWS], Report) if _WINDOWS in raw else ()
    return Bundle(snapshot, reports)


def _read_agents(path: Path, states: _States) -> tuple[AgentStatus, ...]:
    try:
        return read_statuses(states.agents)
    except InputError as error:
        raise InputError(f"agents: {error}", where=str(path)) from error


def _read_manifest(path: Path) -> _Manifest:
    raw = _read_bytes(path, most=_MAX_MANIFEST_BYTES)
    head = _decode(path, raw, dict[str, object])
    if head.get("format") != FORMAT:
        raise InputError("is not the manifest of an evidence bundle", where=str(path))
    if head.get("version") != VERSION:
        raise InputError(
            f"has format version {head.get('version')!r}; this netprobe reads version {VERSION}",
            where=str(path),
        )
    manifest = _decode(path, raw, _Manifest)
    missing = sorted(_REQUIRED - manifest.files.keys())
    if missing:
        raise InputError(f"does not list {', '.join(missing)}", where=str(path))
    foreign = sorted(manifest.files.keys() - _REQUIRED - {_WINDOWS})
    if foreign:
        raise InputError(f"lists files of no known meaning: {foreign!r}", where=str(path))
    return manifest


def _read_bytes(path: Path, *, most: int) -> bytes:
    """A regular file of *most* bytes at most; a link, a pipe or a device of that name is not opened."""
    try:
        with os.fdopen(
            os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
        ) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise InputError("is not a regular file", where=str(path))
            if found.st_size > most:
                raise InputError(f"is damaged: {found.st_size} bytes, of {most} at most", where=str(path))
            return file.read(most + 1)
    except FileNotFoundError as error:
        raise InputError("is missing from the evidence bundle", where=str(path)) from error
    except OSError as error:
        what = "is a link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise InputError(what, where=str(path)) from error


def _read_file(path: Path, entry: _FileEntry) -> bytes:
    raw = _read_bytes(path, most=min(entry.bytes, _MAX_UNPACKED))
    if len(raw) != entry.bytes or _sum(raw) != entry.sha256:
        raise InputError(
            f"is damaged: {len(raw)} bytes whose SHA-256 is not the manifest's ({entry.bytes} bytes)",
            where=str(path),
        )
    return raw


def _decode(path: Path, raw: bytes, kind: type[T], *, line: int = 0) -> T:
    where = f"{path}:{line}" if line else str(path)
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise InputError(f"does not fit: {error}", where=where) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not JSON: {error}", where=where) from error


def _lines(path: Path, raw: bytes) -> list[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(raw, _MAX_UNPACKED)
    except zlib.error as error:
        raise InputError(f"is not gzip: {error}", where=str(path)) from error
    if unpacker.unconsumed_tail:
        raise InputError(f"unfolds to more than {_MAX_UNPACKED} bytes", where=str(path))
    if not unpacker.eof:
        raise InputError("ends too early", where=str(path))
    return text.splitlines()


def _unpack(path: Path, raw: bytes, kind: type[T]) -> tuple[T, ...]:
    lines = enumerate(_lines(path, raw), start=1)
    return tuple(_decode(path, line, kind, line=number) for number, line in lines)


def _unpack_legs(path: Path, raw: bytes) -> tuple[Legs, ...]:
    lines = _lines(path, raw)
    if not lines:
        raise InputError("is empty", where=str(path))
    components = _decode(path, lines[0], tuple[Component, ...], line=1)
    legs = []
    for number, line in enumerate(lines[1:], start=2):
        row = _decode(path, line, _NumberedLegs, line=number)
        ways = (row.forward, row.back, *row.forward_others, *row.back_others)
        if not all(0 <= index < len(components) for way in ways for index in way):
            raise InputError("names a component that is not listed", where=f"{path}:{number}")
        named = [tuple(components[index] for index in way) for way in ways]
        turn = 2 + len(row.forward_others)
        legs.append(Legs(row.check, named[0], named[1], tuple(named[2:turn]), tuple(named[turn:])))
    return tuple(legs)
