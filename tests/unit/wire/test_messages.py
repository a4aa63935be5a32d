"""Bus messages other than reports: round trips, and errors that name the field."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind
from netprobe.model.component import tunnel
from netprobe.model.finding import Cause, Evidence, Finding
from netprobe.model.fleet import Coverage
from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import AgentId, CheckId, ClusterName, NodeName
from netprobe.model.outcome import Outcome, Reached
from netprobe.model.prose import Prose
from netprobe.model.recorded_packets import PacketRecording, RecordedPacket
from netprobe.model.snapshot import Counters, Snapshot
from netprobe.model.status import (
    AgentState,
    AgentStatus,
    PathState,
    PathStatus,
)
from netprobe.wire import conclusions, messages
from netprobe.wire.messages import CheckAnswer, CheckQuestion, Declined, OutcomeDetail, Presence
from tests.unit.wire.messages import agents, check_ids, naturals, outcomes, plans, texts

AGENT = AgentId.parse("prod/w1/pod")
TARGET = Target(TargetKind.AGENT, "10.0.0.1", "dev/gw/pod")
CHECK = Check(CheckId(1), AGENT, TARGET, Probe("udp", 9771), Layer.POD)
TUNNEL = tunnel(ClusterName("prod"), ClusterName("dev"))
SNAPSHOT = Snapshot(
    taken_ns=1,
    interval_ns=2,
    inventory=Inventory((Cluster(ClusterName("prod"), (Node(NodeName("w1")),)),), agents=frozenset({AGENT})),
    checks=(CHECK,),
    coverage=Coverage(1, 1, 1, classes=((TUNNEL, TUNNEL),)),
    paths=(PathStatus(CheckId(1), PathState.DOWN, 1, rtt_p50_ns=None, rtt_p99_ns=2.5),),
    agents=(AgentStatus(AGENT, AgentState.ALIVE),),
    findings=(
        Finding(
            "f", (TUNNEL,), Cause.TUNNEL_DOWN, 0.5, Prose("cut"), (Evidence(Prose("seen"), (CheckId(1),)),)
        ),
    ),
    counters=Counters(1, 2, 3, 4, 5),
)

DECODERS: dict[str, Callable[[bytes], object]] = {
    "plan": messages.decode_plan,
    "presence": messages.decode_presence,
    "question": messages.decode_question,
    "reply": messages.decode_reply,
    "snapshot": conclusions.decode_snapshot,
}


@given(plans())
def test_a_plan_reads_back(plan: Plan) -> None:
    assert messages.decode_plan(messages.encode_plan(plan)) == plan


def test_a_plan_that_was_read_holds_equal_values_once() -> None:
    other = replace(CHECK, id=CheckId(2), target=replace(TARGET, address="10.0.0.2", name="dev/w1/pod"))
    plan = Plan(AGENT, 1, (CHECK, other), 10**9, b"", target_keys=((TARGET.name, b"k" * 32),))
    read = messages.decode_plan(messages.encode_plan(plan))
    assert read == plan
    first, second = read.checks
    assert first.probe is second.probe
    assert first.source is second.source is read.agent
    assert read.target_keys[0][0] is first.target.name


@given(agents, check_ids, st.lists(outcomes, max_size=4))
def test_an_answer_reads_back(agent: AgentId, check: CheckId, seen: list[Outcome]) -> None:
    answer = CheckAnswer(agent, check, tuple(seen))
    assert messages.decode_reply(messages.encode_reply(answer)) == answer


pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
spans = st.lists(st.tuples(texts, naturals), max_size=3).map(tuple)
details = st.builds(OutcomeDetail, texts, texts, texts, spans, pairs)


@given(agents, check_ids, st.lists(st.tuples(outcomes, details), min_size=1, max_size=4))
def test_an_answer_reads_back_with_its_details(
    agent: AgentId, check: CheckId, seen: list[tuple[Outcome, OutcomeDetail]]
) -> None:
    answer = CheckAnswer(agent, check, tuple(one for one, _ in seen), tuple(detail for _, detail in seen))
    assert messages.decode_reply(messages.encode_reply(answer)) == answer


def test_an_answer_reads_back_with_its_recording_and_one_of_an_older_build_without() -> None:
    packets = (RecordedPacket(7, 1_500, b"\x45\x00\xff"), RecordedPacket(8, 3, b"abc"))
    answer = CheckAnswer(AGENT, CheckId(3), (Reached(7),), recording=PacketRecording(packets, 2))
    assert messages.decode_reply(messages.encode_reply(answer)) == answer
    plain = CheckAnswer(AGENT, CheckId(3), (Reached(7),))
    data = messages.encode_reply(plain)
    told = msgspec.msgpack.decode(data[1:])
    assert told.pop("recording", "missing") is None
    assert messages.decode_reply(data[:1] + msgspec.msgpack.encode(told)) == plain


def test_details_that_do_not_fit_their_outcomes_are_refused() -> None:
    answer = CheckAnswer(AGENT, CHECK.id, (), (OutcomeDetail(),))
    with pytest.raises(RemoteFormatError, match="details: are 1 for 0 outcomes"):
        messages.decode_reply(messages.encode_reply(answer))


@given(agents, texts)
def test_a_refusal_reads_back(agent: AgentId, reason: str) -> None:
    declined = Declined(agent, Prose(reason))
    assert messages.decode_reply(messages.encode_reply(declined)) == declined


def test_presence_question_and_snapshot_read_back() -> None:
    presence = Presence(AGENT, "b00t", 7, 1, "0.1", ("net-raw",))
    assert messages.decode_presence(messages.encode_presence(presence)) == presence
    question = CheckQuestion(CHECK, "me")
    assert messages.decode_question(messages.encode_question(question)) == question
    assert conclusions.decode_snapshot(conclusions.encode_snapshot(SNAPSHOT)) == SNAPSHOT


@pytest.mark.parametrize("kind", sorted(DECODERS))
@given(data=st.binary())
def test_any_bytes_read_or_are_refused(kind: str, data: bytes) -> None:
    for message in (data, b"\x01" + data, b"\x01" + zlib.compress(data)):
        try:
            DECODERS[kind](message)
        except RemoteFormatError as error:
            assert str(error).startswith(f"{kind}: ")


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        pytest.param(replace(CHECK, count=0), "checks[0].count: is out of range", id="no probes"),
        pytest.param(replace(CHECK, probe=Probe("udp", 70_000)), "checks[0].probe.port: is out", id="port"),
        pytest.param(
            replace(CHECK, probe=Probe("udp", timeout_ns=0)), "checks[0].probe.timeout_ns", id="timeout"
        ),
        pytest.param(
            replace(CHECK, source=AgentId.parse("dev/w1/pod")), "checks[0].source: belongs to", id="another's"
        ),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(check: Check, expected: str) -> None:
    with pytest.raises(RemoteFormatError) as caught:
        messages.decode_plan(messages.encode_plan(Plan(AGENT, 1, (check,), 1, b"")))
    assert expected in str(caught.value)


def test_a_deflated_bomb_is_refused() -> None:
    bomb = b"\x01" + zlib.compress(bytes(conclusions.MAX_SNAPSHOT_BYTES + 1))
    with pytest.raises(RemoteFormatError, match="inflates to more than"):
        conclusions.decode_snapshot(bomb)
