"""Headers, fragments, source ports, data and duplicates on real packets, IPv4 and IPv6.

a (prod/w1/pod) ── r ── b (dev/w1/pod)

Each fault drops one class of packets: what is asked in that class is lost, what is asked beside it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from netprobe.model.check import TargetKind
from netprobe.model.outcome import AppFailed, NotMeasured, Outcome, OutcomeKind, Reached, Rejected, TimedOut
from netprobe.probes.repeats import count_answers, read_source_port
from netprobe.wire.messages import CheckAnswer
from tests.lab.agents import MS, PORT, make_check, make_probe
from tests.lab.linear_network import A, B, Line, family_of
from tests.lab.namespaces import need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]

B4, B6 = "10.2.0.2", "fd00:2::2"
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
PORTS = {"icmp": 0, "udp": PORT, "tcp": PORT}
KINDS = pytest.mark.parametrize("kind", list(PORTS))
ECHOES = pytest.mark.parametrize("kind", ["icmp", "udp"])


@pytest.fixture
def row(linear_network: Line) -> Iterator[Line]:
    yield linear_network
    linear_network.clear()


def ask(row: Line, kind: str, address: str, *, count: int = 1, size: int = 0, **options: str) -> CheckAnswer:
    told = tuple(sorted((key.replace("_", "-"), value) for key, value in options.items()))
    probe = replace(make_probe(kind, port=PORTS[kind]), timeout_ns=1_500 * MS, options=told, size=size)
    kind_of = TargetKind.AGENT if kind == "udp" else TargetKind.OUTSIDE
    return row.asker.ask(make_check(A, address, probe, name=str(B), kind=kind_of, count=count))


def outcome(row: Line, kind: str, address: str, **asked: str) -> Outcome:
    return ask(row, kind, address, **asked).outcomes[0]  # type: ignore[arg-type]


@BOTH
@KINDS
def test_a_drop_by_dscp_is_seen_only_with_that_dscp(row: Line, address: str, kind: str) -> None:
    row.r.nft(f"add rule inet test forward {family_of(address)} dscp af21 drop")
    assert isinstance(outcome(row, kind, address, dscp="18"), TimedOut)
    assert isinstance(outcome(row, kind, address, dscp="10"), Reached)
    assert isinstance(outcome(row, kind, address), Reached)


@BOTH
@pytest.mark.parametrize("transport", ["udp", "tcp", "icmp"])
def test_a_trace_with_a_dscp_ends_where_that_class_is_dropped(
    row: Line, address: str, transport: str
) -> None:
    row.r.nft(f"add rule inet test forward {family_of(address)} dscp af21 drop")
    port = 0 if transport == "icmp" else PORT
    asked = {"port": port, "transport": transport, "patience": "200"}
    lost = row.ask("trace", address, dscp="18", **asked)  # type: ignore[arg-type]
    assert isinstance(lost.outcomes[0], TimedOut), lost
    assert str(lost.details[0].words).startswith("silence behind hop 1"), lost
    assert isinstance(row.outcome("trace", address, **asked), Reached)


@BOTH
@KINDS
def test_a_small_ttl_ends_at_the_router(row: Line, address: str, kind: str) -> None:
    ended = outcome(row, kind, address, ttl="1")
    assert isinstance(ended, Rejected)
    assert (ended.icmp_type, ended.icmp_code) == ((11, 0) if address == B4 else (3, 0))
    assert isinstance(outcome(row, kind, address, ttl="2"), Reached)


@BOTH
@ECHOES
def test_fragments_pass_and_are_answered_in_fragments(row: Line, address: str, kind: str) -> None:
    assert isinstance(outcome(row, kind, address, fragments="yes"), Reached)


@BOTH
@ECHOES
def test_a_drop_of_fragments_is_seen_only_by_fragments(row: Line, address: str, kind: str) -> None:
    fragment = "ip frag-off & 0x3fff != 0" if address == B4 else "exthdr frag exists"
    row.r.nft(
        "add chain inet test early { type filter hook prerouting priority -450; }",
        f"add rule inet test early {fragment} drop",
    )
    assert isinstance(outcome(row, kind, address, fragments="yes"), TimedOut)
    assert isinstance(outcome(row, kind, address), Reached)


@ECHOES
def test_fragments_that_would_be_one_packet_are_not_measured(row: Line, kind: str) -> None:
    (ended,) = ask(row, kind, B4, size=900, fragments="yes").outcomes
    assert isinstance(ended, NotMeasured)
    assert "choose a larger --size" in str(ended.reason)


@BOTH
@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_range_of_source_ports_names_those_that_are_lost(row: Line, address: str, kind: str) -> None:
    row.r.nft(f"add rule inet test forward {kind} sport {{ 40001, 40003 }} drop")
    answer = ask(row, kind, address, count=4, source_port="40000-40003")
    told = zip(answer.outcomes, answer.details, strict=True)
    ended = {read_source_port(detail.values): outcome.kind for outcome, detail in told}
    lost, reached = OutcomeKind.TIMED_OUT, OutcomeKind.REACHED
    assert ended == {40_000: reached, 40_001: lost, 40_002: reached, 40_003: lost}


@BOTH
@pytest.mark.parametrize(
    ("kind", "twice", "is_seen"),
    [
        pytest.param("icmp", "to-b", True, id="a ping's request"),
        pytest.param("icmp", "to-a", True, id="a ping's answer"),
        pytest.param("udp", "to-a", True, id="an agent's answer"),
        pytest.param("udp", "to-b", False, id="a request, which an agent answers once"),
    ],
)
def test_duplicates_on_the_way_are_counted_and_nothing_is_lost(
    row: Line, address: str, kind: str, twice: str, is_seen: bool
) -> None:
    """As flannel#114: every packet that leaves by one device is sent twice."""
    row.r.load_rules(
        "table netdev twice {\n chain out {\n"
        f'  type filter hook egress device "{twice}" priority 0; policy accept\n'
        f'  meta protocol {family_of(address)} dup to "{twice}"\n }}\n}}\n'
    )
    try:
        answer = ask(row, kind, address, count=3)
    finally:
        row.r.run("nft", "delete", "table", "netdev", "twice")
    assert {type(ended) for ended in answer.outcomes} == {Reached}, answer
    assert all((count_answers(detail.values) > 1) is is_seen for detail in answer.details), answer
    calm = ask(row, kind, address, count=3)
    assert [count_answers(detail.values) for detail in calm.details] == [1, 1, 1]


@BOTH
def test_a_connection_that_carries_nothing_is_not_reached(row: Line, address: str) -> None:
    """The handshake passes; what carries data is dropped."""
    row.r.nft("add rule inet test forward tcp flags & psh == psh drop")
    assert isinstance(outcome(row, "tcp", address), Reached), "the handshake alone"
    for data in ("ack", "answer"):
        answer = ask(row, "tcp", address, data=data)
        assert isinstance(answer.outcomes[0], TimedOut), answer
        assert str(answer.details[0].words) == "connected, then silence"
        assert [name for name, _ in answer.details[0].phases_ns] == ["connect"]


@BOTH
def test_a_connection_that_carries_data_tells_both_phases(row: Line, address: str) -> None:
    for data in ("ack", "answer"):
        answer = ask(row, "tcp", address, data=data)
        assert isinstance(answer.outcomes[0], Reached), answer
        assert [name for name, _ in answer.details[0].phases_ns] == ["connect", "data"]


@BOTH
def test_a_reset_of_the_first_data_is_not_reached(row: Line, address: str) -> None:
    row.r.nft("add rule inet test forward tcp flags & psh == psh reject with tcp reset")
    (ended,) = ask(row, "tcp", address, data="answer").outcomes
    assert isinstance(ended, AppFailed)
    assert "reset when data was sent" in str(ended.reason)
