"""Ask from a host with what it has: ping, curl, nc, traceroute. Coarser than an agent, and marked so.

Rules: one fixed command per question; what a tool prints is read as hostile, and only for what cannot be
mistaken. If a tool gives no reason, none is assumed.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import CommandOutput
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.model.outcome import (
    AppFailed,
    NotMeasured,
    Outcome,
    Reached,
    Refused,
    Rejected,
    TimedOut,
    TooBig,
)
from netprobe.model.prose import Prose
from netprobe.probes import registry
from netprobe.probes.observation import Facts, make_facts

if TYPE_CHECKING:
    from netprobe.discovery.ssh.allowed_commands import Address
    from netprobe.discovery.ssh.connection import SshHost

_PING_TIME = re.compile(rb"time=(\d{1,7}(?:\.\d{1,6})?) ms")
_PING_ERROR = re.compile(rb"From ([0-9A-Fa-f.:]{2,45}):? (?:icmp_seq=\d+ )?(\S[^\n]*)")
_VOLLEY = re.compile(rb"(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received")
_CURL = re.compile(rb"(\d{3}) (\d{1,4}\.\d{1,9}) (\d{1,4}\.\d{1,9})")
_HOP = re.compile(
    r"\s*(\d{1,2})\s+(\*|[0-9A-Fa-f.:]{2,45})(?:\s+(\d{1,6}\.\d{1,6}) ms)?(?:\s+(![A-Z0-9<>-]*))?\s*"
)
_PING_WORDS: dict[int, tuple[tuple[str, int, int], ...]] = {
    4: (
        ("Destination Net Unreachable for Type of Service", 3, 11),
        ("Destination Host Unreachable for Type of Service", 3, 12),
        ("Destination Net Unreachable", 3, 0), ("Destination Host Unreachable", 3, 1),
        ("Destination Protocol Unreachable", 3, 2), ("Destination Port Unreachable", 3, 3),
        ("Frag needed and DF set", 3, 4), ("Source Route Failed", 3, 5), ("Destination Net Unknown", 3, 6),
        ("Destination Host Unknown", 3, 7), ("Source Host Isolated", 3, 8),
        ("Destination Net Prohibited", 3, 9), ("Destination Host Prohibited", 3, 10),
        ("Packet filtered", 3, 13), ("Precedence Violation", 3, 14), ("Precedence Cutoff", 3, 15),
        ("Time to live exceeded", 11, 0), ("Frag reassembly time exceeded", 11, 1),
        ("Parameter problem", 12, 0),
    ),
    6: (
        ("Destination unreachable: No route", 1, 0),
        ("Destination unreachable: Administratively prohibited", 1, 1),
        ("Destination unreachable: Beyond scope of source address", 1, 2),
        ("Destination unreachable: Address unreachable", 1, 3),
        ("Destination unreachable: Port unreachable", 1, 4), ("Packet too big", 2, 0),
        ("Time exceeded: Hop limit", 3, 0), ("Time exceeded: Defragmentation failure", 3, 1),
        ("Parameter problem", 4, 0),
    ),
}  # fmt: skip
"""How ping of iputils (20221126) words each ICMP error, by IP version; the longer of two beginnings first."""
_PING_CODES = {
    4: (3, re.compile(r"Dest Unreachable, Bad Code: (\d{1,3})")),
    6: (1, re.compile(r"Destination unreachable: Unknown code (\d{1,3})")),
}
"""A code that ping has no words for."""
_PING_MTU = re.compile(r"mtu ?= ?(\d{1,5})")
_TRACE_MARKS = {
    4: {"!N": (3, 0), "!H": (3, 1), "!P": (3, 2), "!F": (3, 4), "!S": (3, 5), "!X": (3, 13), "!V": (3, 14),
        "!C": (3, 15)},
    6: {"!N": (1, 0), "!X": (1, 1), "!S": (1, 2), "!H": (1, 3), "!F": (2, 0)},
}  # fmt: skip
"""What traceroute(8) writes behind a hop that sent an ICMP error, by IP version; others are ``!<code>``."""
_TRACE_CODE = re.compile(r"!<?(\d{1,3})>?")
_NOT_FOUND = (126, 127)  # what a POSIX shell and env(1) say of a program that is not there
_CURL_CONNECT, _CURL_TIMEOUT = 7, 28
_PING_S, _CONNECT_S = 2, 3


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a host's own tool saw."""

    outcome: Outcome
    tool: str
    facts: Facts = ()


def find_tools(kind: str) -> tuple[str, ...]:
    """The tools that can ask this kind of probe, the better one first."""
    found = registry.find_kind(kind)
    return found.host_tools if found else ()


async def ask_with_tools(host: SshHost, kind: str, target: Address, port: int) -> ToolResult:
    """Ask *target* from *host*; `NotMeasured` where the host has no tool for it. Raises `SshError`."""
    tools = find_tools(kind)
    for tool in tools:
        command = Command(tool, target, port=port if tool in ("curl", "nc") else None)
        clock = asyncio.get_running_loop().time
        began = clock()
        answer = await host.run(command)
        if answer.status not in _NOT_FOUND:
            return read_tool(kind, answer, target=str(target), took_ns=round((clock() - began) * 1e9))
    wanted = " or ".join(tools) or "an agent"
    return ToolResult(NotMeasured(Prose(f"the host has no tool that asks {kind}: it needs {wanted}")), "")


def read_tool(kind: str, answer: CommandOutput, *, target: str, took_ns: int) -> ToolResult:
    """What a tool's answer says; pure. *took_ns* is what the whole command took, SSH included.

    Raises `HostOutputError`.
    """
    tool = answer.command.name
    match tool:
        case "ping":
            return ToolResult(_read_ping(answer), tool)
        case "nc":
            return ToolResult(
                _read_nc(answer, took_ns), tool, make_facts((("time", "of the whole command over SSH"),))
            )
        case "curl":
            return _read_curl(kind, answer, took_ns)
        case _:
            return _read_trace(answer, target=target)


def read_ping_series(output: bytes) -> tuple[int, int] | None:
    """How many pings went out and how many were answered; None where ping could not send. Pure.

    Raises `HostOutputError`.
    """
    found = _VOLLEY.search(output)
    if found is None:
        return None
    sent, answered = int(found[1]), int(found[2])
    if answered > sent:
        raise HostOutputError(f"ping: {answered} answers to {sent} packets")
    return sent, answered


def _read_ping(answer: CommandOutput) -> Outcome:
    if answer.status == 0:
        found = _PING_TIME.search(answer.output)
        if found is None:
            raise HostOutputError("ping: an answer without its time")
        return Reached(round(float(found[1]) * 1e6))
    for told in _PING_ERROR.finditer(answer.output):
        refused = _rejection_of(told[1].decode(), told[2].decode(errors="replace"))
        if refused is not None:
            return refused
    if answer.status == 1:
        return TimedOut(_PING_S * 1_000_000_000)
    return NotMeasured(Prose(f"ping: {answer.complaint or 'failed'}"))


def _rejection_of(sender: str, words: str) -> Rejected | TooBig | None:
    """The ICMP error that ping words so; None for one that does not end the question (a redirect)."""
    version = 6 if ":" in sender else 4
    for beginning, icmp_type, icmp_code in _PING_WORDS[version]:
        if words.startswith(beginning):
            mtu = _PING_MTU.search(words) if (icmp_type, icmp_code) in ((3, 4), (2, 0)) else None
            return TooBig(int(mtu[1]), sender) if mtu is not None else Rejected(sender, icmp_type, icmp_code)
    icmp_type, pattern = _PING_CODES[version]
    code = pattern.match(words)
    return Rejected(sender, icmp_type, int(code[1])) if code is not None else None


def _read_nc(answer: CommandOutput, took_ns: int) -> Outcome:
    if answer.status == 0:
        return Reached(took_ns)
    return _outcome_of_message(answer.complaint, took_ns) or TimedOut(_CONNECT_S * 1_000_000_000)


def _outcome_of_message(words: str, took_ns: int) -> Outcome | None:
    """What strerror(3) said through a tool, in the C locale."""
    if "refused" in words:
        return Refused(took_ns)
    if "No route to host" in words or "unreachable" in words:
        return NotMeasured(Prose(words))
    return None


def _read_curl(kind: str, answer: CommandOutput, took_ns: int) -> ToolResult:
    found = _CURL.fullmatch(answer.output.strip())
    if found is None:
        raise HostOutputError("curl: not its three figures")
    code, connected_ns, total_ns = int(found[1]), _ns(found[2]), _ns(found[3])
    if not connected_ns:
        silent = TimedOut(_CONNECT_S * 1_000_000_000) if answer.status == _CURL_TIMEOUT else None
        failed = NotMeasured(Prose(f"curl: {answer.complaint or 'failed'}"))
        return ToolResult(_outcome_of_curl(answer, took_ns) or silent or failed, "curl")
    if kind == "tcp":
        return ToolResult(Reached(connected_ns), "curl")
    if not code:
        return ToolResult(AppFailed(Prose(answer.complaint or "no HTTP answer")), "curl")
    outcome = Reached(total_ns) if code < 400 else AppFailed(Prose(f"HTTP status {code}"))
    return ToolResult(outcome, "curl", make_facts((("HTTP status", str(code)),)))


def _outcome_of_curl(answer: CommandOutput, took_ns: int) -> Outcome | None:
    told = _outcome_of_message(answer.complaint, took_ns)
    if told is None and answer.status == _CURL_CONNECT:
        return Refused(took_ns)  # newer ones only say "Could not connect to server"
    return told


def _ns(text: bytes) -> int:
    return round(float(text) * 1e9)


def _read_trace(answer: CommandOutput, *, target: str) -> ToolResult:
    hops: list[tuple[str, str]] = []
    last, last_ns, mark = "", 0, ""
    for row in answer.output[:16_384].decode(errors="replace").splitlines()[1:]:
        found = _HOP.fullmatch(row)
        if found is None:
            raise HostOutputError("traceroute: an unexpected line")
        hops.append((f"hop {found[1]}", " ".join(part for part in found.groups()[1:] if part)))
        if found[2] != "*":
            last, last_ns, mark = found[2], round(float(found[3] or 0) * 1e6), found[4] or ""
    if not hops:
        return ToolResult(
            NotMeasured(Prose(f"traceroute: {answer.complaint or 'printed nothing'}")), "traceroute"
        )
    silent = TimedOut(1_000_000_000)
    outcome = Reached(last_ns) if last == target else _rejection_by_mark(last, mark) or silent
    return ToolResult(outcome, "traceroute", make_facts(hops))


def _rejection_by_mark(sender: str, mark: str) -> Rejected | None:
    """The ICMP error behind the last hop; None where there is no mark."""
    version = 6 if ":" in sender else 4
    code = _TRACE_CODE.fullmatch(mark)
    if code is not None:
        return Rejected(sender, 1 if version == 6 else 3, int(code[1]))
    told = _TRACE_MARKS[version].get(mark.partition("-")[0])
    return Rejected(sender, *told) if told is not None else None
