"""What commands say to a lab's supervisor, one JSON object per line over its Unix socket.

Rule: one request, then one answer, then the connection ends. ``Exec`` carries three open files beside it
(standard input, output, error); closing the connection before the answer ends the command.
"""

from __future__ import annotations

import msgspec


class StatusRequest(msgspec.Struct, frozen=True, tag="status", forbid_unknown_fields=True):
    """Ask how the lab is."""


class Exec(msgspec.Struct, frozen=True, tag="exec", forbid_unknown_fields=True):
    """Run a command inside a host."""

    host: str
    argv: list[str]
    folder: str = "/"
    environment: dict[str, str] = msgspec.field(default_factory=dict)


class AddFault(msgspec.Struct, frozen=True, tag="add-fault", forbid_unknown_fields=True):
    """Break something."""

    kind: str
    parameters: dict[str, str]


class RemoveFault(msgspec.Struct, frozen=True, tag="remove-fault", forbid_unknown_fields=True):
    """Mend it; ``all`` mends everything."""

    id: str


class Down(msgspec.Struct, frozen=True, tag="down", forbid_unknown_fields=True):
    """Take the lab down."""


Request = StatusRequest | Exec | AddFault | RemoveFault | Down


class LabHostStatus(msgspec.Struct, frozen=True):
    """One host and its addresses."""

    name: str
    role: str
    addresses: list[str]


class ProcessStatus(msgspec.Struct, frozen=True):
    """One process the supervisor started."""

    name: str
    host: str
    state: str
    """``running``, ``stopped`` (on purpose) or ``exited``."""
    pid: int
    """Inside the lab."""
    exit_code: int | None = None


class FaultStatus(msgspec.Struct, frozen=True):
    """One active fault with its label."""

    id: str
    kind: str
    parameters: dict[str, str]
    cause: str
    components: list[str]
    added_ns: int
    """Wall time at which it was in place."""


class LabStatus(msgspec.Struct, frozen=True):
    """Everything ``lab status`` shows."""

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
    """A command's exit code, as a shell tells it (128 + signal)."""

    code: int


class FaultAdded(msgspec.Struct, frozen=True, tag="fault-added"):
    """A fault is in place."""

    fault: FaultStatus


class FaultsRemoved(msgspec.Struct, frozen=True, tag="faults-removed"):
    """These faults are mended."""

    ids: list[str]


class GoingDown(msgspec.Struct, frozen=True, tag="going-down"):
    """The lab ends; the connection closes when everything is stopped."""


class RequestFailed(msgspec.Struct, frozen=True, tag="failed"):
    """One clear line."""

    what: str
    by_input: bool
    """Whether the question was wrong (rather than the surroundings)."""


Answer = StatusReply | Exited | FaultAdded | FaultsRemoved | GoingDown | RequestFailed
