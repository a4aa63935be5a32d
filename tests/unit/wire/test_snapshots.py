"""A snapshot's document has the model's fields, and writes agents as they have always been written."""

from __future__ import annotations

from dataclasses import fields, replace

import msgspec
import pytest

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.snapshot import Snapshot
from netprobe.model.status import AgentStatus
from netprobe.wire import conclusions
from netprobe.wire.snapshots import (
    AgentStatusDocument,
    SnapshotDocument,
    read_snapshot,
    read_statuses,
    write_snapshot,
    write_statuses,
)
from tests import fleets


@pytest.mark.parametrize(
    ("document", "model"), [(SnapshotDocument, Snapshot), (AgentStatusDocument, AgentStatus)]
)
def test_a_document_has_the_fields_of_the_model(
    document: type[msgspec.Struct], model: type[Snapshot]
) -> None:
    assert document.__struct_fields__ == tuple(field.name for field in fields(model))


def test_a_snapshot_reads_back() -> None:
    snapshot = fleets.healthy()
    assert read_snapshot(write_snapshot(snapshot)) == snapshot
    assert conclusions.decode_snapshot(conclusions.encode_snapshot(snapshot)) == snapshot


def test_an_agent_is_written_by_its_name() -> None:
    first, *_ = fleets.healthy().agents
    (written,) = write_statuses([first])
    assert msgspec.to_builtins(written)["agent"] == str(first.agent)


def test_a_name_that_is_not_an_agents_is_refused() -> None:
    snapshot = fleets.healthy()
    (written,) = write_statuses(snapshot.agents[:1])
    odd = msgspec.structs.replace(written, agent="prod/w1")
    with pytest.raises(InputError, match="is not <cluster>/<node>/pod"):
        read_statuses([odd])
    document = msgspec.structs.replace(write_snapshot(replace(snapshot, agents=())), agents=(odd,))
    message = conclusions._SNAPSHOTS.encode(document)
    with pytest.raises(RemoteFormatError, match="snapshot: agents: 'prod/w1' is not"):
        conclusions.decode_snapshot(message)
