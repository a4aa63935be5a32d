"""What ping, curl, nc and traceroute print, as outcomes; whatever else comes, only our own error escapes."""

from __future__ import annotations

import contextlib
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import CommandOutput
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.discovery.ssh.fallback_tools import (
    ToolResult,
    ask_with_tools,
    read_ping_series,
    read_tool,
)
from netprobe.model.outcome import AppFailed, NotMeasured, Reached, Refused, Rejected, TimedOut, TooBig
from netprobe.model.prose import Prose
from netprobe.probes.registry import iter_kinds
from tests.facts import pairs

TARGET = ip_address("10.3.0.2")
SECOND = 1_000_000_000
PONG = b"""PING 10.3.0.2 (10.3.0.2) 56(84) bytes of data.
64 bytes from 10.3.0.2: icmp_seq=1 ttl=64 time=0.045 ms

--- 10.3.0.2 ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
"""
UNREACHABLE = b"""PING 10.3.0.9 (10.3.0.9) 56(84) bytes of data.
From 10.3.0.1 icmp_seq=1 Destination Host Unreachable
"""
TRACE = b"""traceroute to 10.3.0.2 (10.3.0.2), 20 hops max, 60 byte packets
 1  10.1.0.2  0.045 ms
 2  *
 3  10.3.0.2  0.091 ms
"""
REFUSED_CURL = "curl: (7) Failed to connect to 10.3.0.2 port 9771 after 0 ms: Couldn't connect to server"
REFUSED_NC = "(UNKNOWN) [10.3.0.2] 9771 (?) : Connection refused"


def read(kind: str, tool: str, output: bytes, status: int = 0, complaint: str = "") -> ToolResult:
    return read_tool(
        kind, CommandOutput(Command(tool), output, complaint, status), target=str(TARGET), took_ns=7
    )


@pytest.mark.parametrize(
    ("kind", "tool", "output", "status", "complaint", "outcome"),
    [
        ("icmp", "ping", PONG, 0, "", Reached(45_000)),
        ("icmp", "ping", b"PING\n", 1, "", TimedOut(2 * SECOND)),
        ("icmp", "ping", UNREACHABLE, 1, "", Rejected("10.3.0.1", 3, 1)),
        ("icmp", "ping", b"", 2, "ping: socket: Operation not permitted",
         NotMeasured(Prose("ping: ping: socket: Operation not permitted"))),
        ("tcp", "nc", b"", 0, "Connection to 10.3.0.2 9771 port [tcp/*] succeeded!", Reached(7)),
        ("tcp", "nc", b"", 1, REFUSED_NC, Refused(7)),
        ("tcp", "nc", b"", 1, "", TimedOut(3 * SECOND)),
        ("tcp", "curl", b"200 0.000512 0.001024", 0, "", Reached(512_000)),
        ("tcp", "curl", b"000 0.000512 0.001024", 52, "curl: (52) Empty reply from server", Reached(512_000)),
        ("tcp", "curl", b"000 0.000000 0.000400", 7, REFUSED_CURL, Refused(7)),
        ("tcp", "curl", b"000 0.000000 3.000400", 28, "curl: (28) timed out", TimedOut(3 * SECOND)),
        ("http", "curl", b"200 0.000512 0.001024", 0, "", Reached(1_024_000)),
        ("http", "curl", b"503 0.000512 0.001024", 0, "", AppFailed(Prose("HTTP status 503"))),
        ("trace", "traceroute", TRACE, 0, "", Reached(91_000)),
        ("trace", "traceroute", TRACE[:-23], 0, "", TimedOut(SECOND)),
    ],
)  # fmt: skip
def test_a_tool_is_read(
    kind: str, tool: str, output: bytes, status: int, complaint: str, outcome: object
) -> None:
    assert read(kind, tool, output, status, complaint).outcome == outcome


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("From 10.9.0.1 icmp_seq=1 Destination Net Unreachable", Rejected("10.9.0.1", 3, 0)),
        ("From 10.9.0.1 icmp_seq=1 Destination Host Unreachable", Rejected("10.9.0.1", 3, 1)),
        ("From 10.9.0.1 icmp_seq=1 Destination Protocol Unreachable", Rejected("10.9.0.1", 3, 2)),
        ("From 10.9.0.1 icmp_seq=1 Destination Port Unreachable", Rejected("10.9.0.1", 3, 3)),
        ("From 10.9.0.1 icmp_seq=1 Frag needed and DF set (mtu = 576)", TooBig(576, "10.9.0.1")),
        ("From 10.9.0.1 icmp_seq=1 Destination Host Unknown", Rejected("10.9.0.1", 3, 7)),
        ("From 10.9.0.1 icmp_seq=1 Destination Net Prohibited", Rejected("10.9.0.1", 3, 9)),
        ("From 10.9.0.1 icmp_seq=1 Destination Host Prohibited", Rejected("10.9.0.1", 3, 10)),
        ("From 10.9.0.1 icmp_seq=1 Destination Net Unreachable for Type of Service",
         Rejected("10.9.0.1", 3, 11)),
        ("From 10.9.0.1 icmp_seq=1 Packet filtered", Rejected("10.9.0.1", 3, 13)),
        ("From 10.9.0.1 icmp_seq=1 Precedence Violation", Rejected("10.9.0.1", 3, 14)),
        ("From 10.9.0.1 icmp_seq=1 Dest Unreachable, Bad Code: 77", Rejected("10.9.0.1", 3, 77)),
        ("From 10.9.0.1 icmp_seq=1 Time to live exceeded", Rejected("10.9.0.1", 11, 0)),
        ("From fd00:9::1 icmp_seq=1 Destination unreachable: No route", Rejected("fd00:9::1", 1, 0)),
        ("From fd00:9::1 icmp_seq=1 Destination unreachable: Administratively prohibited",
         Rejected("fd00:9::1", 1, 1)),
        ("From fd00:9::1 icmp_seq=1 Destination unreachable: Address unreachable",
         Rejected("fd00:9::1", 1, 3)),
        ("From fd00:9::1 icmp_seq=1 Destination unreachable: Unknown code 5", Rejected("fd00:9::1", 1, 5)),
        ("From fd00:9::1 icmp_seq=1 Packet too big: mtu=1280", TooBig(1280, "fd00:9::1")),
        ("From fd00:9::1 icmp_seq=1 Time exceeded: Hop limit", Rejected("fd00:9::1", 3, 0)),
        ("From 10.9.0.1: icmp_seq=1 Redirect Host(New nexthop: 10.9.0.2)", TimedOut(2 * SECOND)),
    ],
)  # fmt: skip
def test_each_error_that_ping_names_keeps_its_type_and_code(line: str, outcome: object) -> None:
    """As iputils 20221126 words them."""
    assert read("icmp", "ping", f"PING x\n{line}\n".encode(), 1).outcome == outcome


def test_behind_a_redirect_the_error_that_follows_is_read() -> None:
    told = b"From 10.9.0.1: icmp_seq=1 Redirect Host(New nexthop: 10.9.0.2)\n"
    told += b"From 10.9.0.2 icmp_seq=1 Packet filtered\n"
    assert read("icmp", "ping", told, 1).outcome == Rejected("10.9.0.2", 3, 13)


@pytest.mark.parametrize(
    ("hop", "outcome"),
    [
        ("10.9.0.1  0.045 ms !X", Rejected("10.9.0.1", 3, 13)),
        ("10.9.0.1  0.045 ms !H", Rejected("10.9.0.1", 3, 1)),
        ("10.9.0.1  0.045 ms !N", Rejected("10.9.0.1", 3, 0)),
        ("10.9.0.1  0.045 ms !F-1400", Rejected("10.9.0.1", 3, 4)),
        ("10.9.0.1  0.045 ms !<10>", Rejected("10.9.0.1", 3, 10)),
        ("fd00:9::1  0.045 ms !X", Rejected("fd00:9::1", 1, 1)),
        ("fd00:9::1  0.045 ms !H", Rejected("fd00:9::1", 1, 3)),
        ("10.9.0.1  0.045 ms", TimedOut(SECOND)),
        ("10.3.0.2  0.045 ms !X", Reached(45_000)),
    ],
)
def test_the_mark_behind_a_traces_last_hop_is_the_error_that_it_sent(hop: str, outcome: object) -> None:
    """The target itself is reached, whatever it answers."""
    assert read("trace", "traceroute", f"traceroute to x\n 1  {hop}\n".encode()).outcome == outcome


def test_a_trace_tells_its_hops_and_a_silent_one_as_silent() -> None:
    assert pairs(read("trace", "traceroute", TRACE).facts) == (
        ("hop 1", "10.1.0.2 0.045"), ("hop 2", "*"), ("hop 3", "10.3.0.2 0.091"),
    )  # fmt: skip


class Without:
    """A host that has only some tools."""

    def __init__(self, **answers: CommandOutput) -> None:
        self.answers = answers

    async def run(self, command: Command) -> CommandOutput:
        missing = CommandOutput(command, b"", f"env: '{command.name}': No such file or directory", 127)
        return self.answers.get(command.name, missing)


async def test_the_next_tool_is_asked_where_the_better_one_is_missing() -> None:
    host = Without(nc=CommandOutput(Command("nc"), b"", "", 0))
    told = await ask_with_tools(host, "tcp", TARGET, 9771)  # type: ignore[arg-type]
    assert told.tool == "nc"
    assert isinstance(told.outcome, Reached)


@pytest.mark.parametrize(("kind", "needs"), [("tcp", "curl or nc"), ("udp", "an agent")])
async def test_without_a_tool_nothing_is_measured_and_nothing_called_down(kind: str, needs: str) -> None:
    told = await ask_with_tools(Without(), kind, TARGET, 9771)  # type: ignore[arg-type]
    assert told.outcome == NotMeasured(Prose(f"the host has no tool that asks {kind}: it needs {needs}"))


@given(
    st.sampled_from([(kind.name, tool) for kind in iter_kinds() for tool in kind.host_tools]),
    st.binary(),
    st.integers(0, 130),
)
def test_hostile_output_is_an_outcome_or_our_error(what: tuple[str, str], output: bytes, status: int) -> None:
    with contextlib.suppress(HostOutputError):
        read(*what, output, status, output.decode(errors="replace"))  # does not raise anything else


@pytest.mark.parametrize(
    ("output", "counted"),
    [
        (b"20 packets transmitted, 3 received, 85% packet loss, time 3822ms", (20, 3)),
        (b"20 packets transmitted, 0 packets received, 100% packet loss", (20, 0)),
        (b"", None),
        (b"ping: connect: Network is unreachable", None),
    ],
    ids=["iputils", "busybox", "silent", "no route"],
)
def test_a_volley_counts_what_went_out_and_what_came_back(
    output: bytes, counted: tuple[int, int] | None
) -> None:
    assert read_ping_series(output) == counted


def test_more_answers_than_pings_are_no_answer_of_ping() -> None:
    with pytest.raises(HostOutputError):
        read_ping_series(b"2 packets transmitted, 3 received")
