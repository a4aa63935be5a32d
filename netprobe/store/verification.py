"""What ``netprobe verify -o json`` wrote, read back: ``docs/schemas/verify.schema.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from netprobe.errors import InputError
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, CellCause, CellResult, CellVerdict, PortSpec, Protocol
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.wire.previous_build_causes import read_cause


class _Cell(msgspec.Struct, frozen=True):
    source: str
    target: str
    address: str
    door: str
    expected: Expectation
    rule: str
    verdict: CellVerdict
    reason: str
    at: str | None
    between: tuple[str, ...] = ()
    cause: CellCause | None = None
    """Missing in documents of builds before causes had a code."""


class _Document(msgspec.Struct, frozen=True):
    schema: Literal["netprobe/verify"]
    version: Literal[1]
    cells: tuple[_Cell, ...]


def read_verification(path: Path) -> tuple[CellResult, ...]:
    """The cells of the file *path* with their verdicts.

    Raises :class:`InputError`: one line naming the file, the field and what is wrong with it.
    """
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except msgspec.ValidationError as error:
        raise InputError(f"is not what netprobe verify writes: {error}", where=str(path)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not JSON: {error}", where=str(path)) from error
    return tuple(_read_cell(cell, f"{path}: cells[{n}]") for n, cell in enumerate(document.cells))


def _read_cell(cell: _Cell, where: str) -> CellResult:
    try:
        source = AgentId.parse(cell.source)
    except InputError as error:
        raise InputError(str(error), where=f"{where}.source") from error
    door = _read_port(cell.door, f"{where}.door")
    asked = Cell(source, cell.target, cell.address, door, cell.expected, cell.rule)
    cause = cell.cause or read_cause(cell.reason)
    return CellResult(asked, cell.verdict, Prose(cell.reason), cell.at or "", cell.between, cause)


def _read_port(text: str, where: str) -> PortSpec:
    protocol, _, port = text.partition("/")
    known = protocol in set(Protocol) and (port.isdecimal() or not port)
    if not known or int(port or 0) > 65_535:
        raise InputError(f"{text!r} is not a port such as tcp/443", where=where)
    return PortSpec(Protocol(protocol), int(port or 0))
