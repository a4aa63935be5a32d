"""Protocol between commands and a lab's supervisor: one JSON object per line over its Unix socket.

Rule: one request, one answer, then the connection closes. ``Exec`` is sent with three open files (standard
input, output, error); closing the connection before the answer stops the command.
"""

from __future__ import annotations

import msgspec


class StatusRequest(msgspec.Struct, frozen=True, tag="status", forbid_unknown_fields=True):
    """Ask for the status of the lab."""


class Exec(msgspec.Struct, frozen=True, tag="exec", forbid_unknown_fields=True):
    """Run a command inside a host."""

    host: str
    argv: list[str]
    folder: str = "/"
    environment: dict[str, str] = msgspec.field(default_factory=dict)


class AddFault(msgspec.Struct, frozen=True, tag="add-fault", forbid_unknown_fields=True):
    """Add a fault."""

    kind: str
    parameters: dict[str, str]


class RemoveFault(msgspec.Struct, frozen=True, tag="remove-fault", forbid_unknown_fields=True):
    """Remove a fault; ``all`` removes every fault."""

    id: str


class Down(msgspec.Struct, frozen=True, tag="down", forbid_unknown_fields=True):
    """Stop the lab."""


Request = StatusRequest | Exec | AddFault | RemoveFault | Down


class LabHostStatus(msgspec.Struct, frozen=True):
    """One host and its addresses."""

    name: str
    role: str
    addresses: list[str]


class ProcessStatus(msgspec.Struct, frozen=True):
    """One process of the lab."""

    name: str
    host: str
    state: str
    """``running``, ``stopped`` (on purpose) or ``exited``."""
    pid: int
    """Its number inside the lab."""
    exit_code: int | None = None


class FaultStatus(msgspec.Struct, frozen=True):
    """One active fault with its ground truth."""

    id: str
    kind: str
    parameters: dict[str, str]
    cause: str
    components: list[str]
    added_ns: int
    """Wall time from which it was in place."""


class LabStatus(msgspec.Struct, frozen=True):
    """What ``lab status`` shows."""

    name: str
    mechanism: str
    notices: list[str]
    hosts: list[LabHostStatus]
    processes: list[ProcessStatus]
    faults: list[FaultStatus]
    bus_url: str
    folder: str
    rootless: bool


class StatusReply(msgspec.Struct, frozen=True, tag="status"):
    """The answer to ``StatusRequest``."""

    status: LabStatus


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """A command's exit code, as a shell reports it (128 + signal)."""

    code: int


class FaultAdded(msgspec.Struct, frozen=True, tag="fault-added"):
    """A fault is in place."""

    fault: FaultStatus


class FaultsRemoved(msgspec.Struct, frozen=True, tag="faults-removed"):
    """These faults were removed."""

    ids: list[str]


class GoingDown(msgspec.Struct, frozen=True, tag="going-down"):
    """The lab stops; the connection closes when everything has stopped."""


class RequestFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The request failed; *what* is the error in one line."""

    what: str
    by_input: bool
    """Whether the request was wrong, rather than the system."""


Answer = StatusReply | Exited | FaultAdded | FaultsRemoved | GoingDown | RequestFailed
