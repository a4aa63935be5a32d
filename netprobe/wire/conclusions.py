"""What the collector concluded, for operators and its own history: snapshots, findings, planned epochs.

Rule: agents load nothing of this.
"""

from __future__ import annotations

import msgspec

from netprobe.errors import InputError
from netprobe.model.finding import Finding
from netprobe.model.fleet import PlannedEpoch
from netprobe.model.snapshot import Snapshot
from netprobe.wire.envelope import Codec
from netprobe.wire.snapshots import SnapshotDocument, read_snapshot, write_snapshot

MAX_SNAPSHOT_BYTES = 256 * 1024 * 1024
MAX_FINDING_BYTES = 16 * 1024 * 1024
MAX_MOMENT_BYTES = 64


class _Moment(msgspec.Struct):
    at_ns: int


_FINDINGS = Codec(Finding, name="finding", limit=MAX_FINDING_BYTES)
_EPOCHS = Codec(PlannedEpoch, name="planned epoch", limit=MAX_SNAPSHOT_BYTES, deflated=True)
_MOMENTS = Codec(_Moment, name="moment", limit=MAX_MOMENT_BYTES)
_SNAPSHOTS = Codec(SnapshotDocument, name="snapshot", limit=MAX_SNAPSHOT_BYTES, deflated=True)


def encode_finding(finding: Finding) -> bytes:
    """The bytes of a finding, as the history keeps it."""
    return _FINDINGS.encode(finding)


def decode_finding(data: bytes) -> Finding:
    """Read a finding."""
    return _FINDINGS.decode(data)


def encode_epoch(epoch: PlannedEpoch) -> bytes:
    """The bytes of a planned epoch in a history."""
    return _EPOCHS.encode(epoch)


def decode_epoch(data: bytes) -> PlannedEpoch:
    """Read a planned epoch."""
    return _EPOCHS.decode(data)


def encode_moment(at_ns: int) -> bytes:
    """The bytes of the question how things stood at *at_ns* (wall time)."""
    return _MOMENTS.encode(_Moment(at_ns))


def decode_moment(data: bytes) -> int:
    """Read which moment is asked for."""
    return _MOMENTS.decode(data).at_ns


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The bytes of a snapshot, deflated."""
    return _SNAPSHOTS.encode(write_snapshot(snapshot))


def decode_snapshot(data: bytes) -> Snapshot:
    """Read a snapshot."""
    document = _SNAPSHOTS.decode(data)
    try:
        return read_snapshot(document)
    except InputError as error:
        raise _SNAPSHOTS.error(str(error), field="agents") from error
