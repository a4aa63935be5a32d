"""Agents asked through their own two pipes: real ``netprobe-agent stream`` programs, and odd ones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from netprobe.bus.questions import TransportAsker
from netprobe.errors import SystemRefusedError
from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.prose import Prose
from netprobe.model.verdict import Verdict
from netprobe.probes.ports import read_verdicts
from netprobe.wire.messages import CheckAnswer, Declined, Refusal, Reply, decode_reply
from netprobe.wire.stream import PlanTaken, ReplyLine, encode_output_line
from netprobe.workflows.visit.agent_streams import AgentStreams, TalkTo, open_pipes

ME = AgentId.parse("here/n1/host")
KEY = b"k" * 16
PATIENCE_S = 100.0


def plan(*askable: str) -> Plan:
    return Plan(ME, 1, (), 60_000_000_000, KEY, askable=askable)


def check(number: int, address: str, kind: str, *, port: int = 0, lasts_s: int = 20, **options: str) -> Check:
    target = Target(TargetKind.OUTSIDE, address, "")
    probe = Probe(kind, port, timeout_ns=lasts_s * 1_000_000_000, options=tuple(sorted(options.items())))
    return Check(CheckId(number), ME, target, probe, Layer.OUTSIDE)


@dataclass
class Program:
    """A program on this machine, talked to as to one in a pod."""

    process: asyncio.subprocess.Process

    async def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        await self.process.stdin.drain()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            yield line.rstrip(b"\n")


@dataclass
class Programs:
    """Starts agents; each hears the end of its stdin with the block."""

    ended: list[int | None] = field(default_factory=list)

    @asynccontextmanager
    async def talk_to(self, agent: AgentId) -> AsyncIterator[Program]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "netprobe_agent", "stream", f"--agent={agent}", "--port=0",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Program(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            self.ended.append(await process.wait())


async def ask(talk_to: TalkTo, *checks: Check, askable: tuple[str, ...] = ("127.0.0.1/32",)) -> list[Reply]:
    async with open_pipes([plan(*askable)], talk_to, patience_s=PATIENCE_S) as pipes:
        assert pipes.silent == {}
        return list(await TransportAsker(pipes, "test").ask(ME, checks))


async def test_a_real_agent_answers_in_order_and_only_what_it_may_ask() -> None:
    programs = Programs()
    open_door = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = open_door.sockets[0].getsockname()[1]
    async with open_door:
        first, stranger, last = await ask(
            programs.talk_to,
            check(1, "127.0.0.1", "ports", tcp=str(port)),
            check(2, "192.0.2.1", "ports", tcp="80"),
            check(3, "127.0.0.1", "ports", tcp=str(port)),
        )
    assert stranger == Declined(
        ME, Prose("192.0.2.1 is neither in the plan nor on the allow-list"), Refusal.NOT_ALLOWED
    )
    for number, told in ((1, first), (3, last)):
        assert isinstance(told, CheckAnswer), told
        assert (told.check, told.outcomes[0].kind) == (number, OutcomeKind.REACHED)
        (door,) = read_verdicts(told.details[0].values)
        assert (door.port, door.verdict) == (port, Verdict.OPEN)
    assert programs.ended == [0]


async def test_a_message_that_is_no_question_is_declined_and_costs_nothing_else() -> None:
    programs = Programs()
    async with open_pipes([plan()], programs.talk_to, patience_s=PATIENCE_S) as pipes:
        told = decode_reply(await pipes.request(ME, b"nonsense", timeout_s=PATIENCE_S))
        assert isinstance(told, Declined)
        assert str(told.reason).startswith("question: ")
        (again,) = await TransportAsker(pipes, "test").ask(ME, [check(1, "10.0.0.1", "icmp")])
        assert again == Declined(
            ME, Prose("10.0.0.1 is neither in the plan nor on the allow-list"), Refusal.NOT_ALLOWED
        )


async def test_an_agent_ends_with_its_stdin_also_while_it_asks() -> None:
    programs, asked = Programs(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    idle = check(1, "127.0.0.1", "idle", port=port, lasts_s=3_100, gaps="3000")
    async with silent:
        async with open_pipes([plan("127.0.0.1/32")], programs.talk_to, patience_s=PATIENCE_S) as pipes:
            asking = asyncio.ensure_future(TransportAsker(pipes, "test").ask(ME, [idle]))
            await asked.wait()
        assert programs.ended == [0]
    assert await asking == (Declined(ME, Prose("the agent ended"), Refusal.NOT_REACHED),)


# --- agents that misbehave ----------------------------------------------------------------------


@dataclass
class Odd:
    """An agent that says some lines after each one that it hears, and ends."""

    says: list[list[bytes]]
    heard: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    fails: str = ""

    async def send(self, line: bytes) -> None:
        self.heard.put_nowait(line)

    async def lines(self) -> AsyncGenerator[bytes, None]:
        for lines in self.says:
            await self.heard.get()
            for line in lines:
                yield line
        if self.fails:
            raise SystemRefusedError(self.fails)

    @asynccontextmanager
    async def talk_to(self, agent: AgentId) -> AsyncIterator[Odd]:
        yield self


TAKEN = [encode_output_line(PlanTaken(1, (), "0"))]


def reply(number: int, message: bytes) -> bytes:
    return encode_output_line(ReplyLine(number, message))


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (Odd([TAKEN, []]), "the agent ended"),
        (Odd([TAKEN, []], fails="ns/pod: out of memory"), "ns/pod: out of memory"),
        (Odd([TAKEN, [b"Traceback"]]), "agent's output line: JSON is malformed: invalid character (byte 0)"),
        (Odd([TAKEN, [reply(1, b"?")], []]), "reply: version 63 is not supported"),
    ],
)
async def test_why_there_is_no_reply_is_told(odd: Odd, why: str) -> None:
    (told,) = await ask(odd.talk_to, check(1, "127.0.0.1", "icmp"))
    assert told == Declined(ME, Prose(why), Refusal.NOT_REACHED)


@pytest.mark.parametrize(
    ("odd", "why"),
    [(Odd([[], []]), "the agent said nothing in time"), (Odd([], fails="no pod"), "no pod")],
)
async def test_an_agent_that_takes_no_plan_is_told_and_asked_nothing(odd: Odd, why: str) -> None:
    async with open_pipes([plan()], odd.talk_to, patience_s=0.05) as pipes:
        assert (pipes.taken, pipes.silent) == ({}, {ME: why})


async def test_a_late_reply_is_nobody_elses() -> None:
    odd = Odd([TAKEN, [], [reply(1, b"late"), reply(2, b"in time")], []])
    async with open_pipes([plan()], odd.talk_to, patience_s=PATIENCE_S) as pipes:
        with pytest.raises(SystemRefusedError, match="no reply within"):
            await pipes.request(ME, b"first", timeout_s=0.05)
        assert await pipes.request(ME, b"second", timeout_s=PATIENCE_S) == b"in time"


async def test_nobody_is_asked_as_somebody_else() -> None:
    with pytest.raises(SystemRefusedError, match="no agent runs as here/n1/host"):
        await AgentStreams([]).request(ME, b"", timeout_s=1.0)
