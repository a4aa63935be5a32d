"""A real bus on loopback with everybody on it: a victim, thieves with each kind of credential, a collector.

Rule: what an attack may not change is read from the bus itself, by the collector's key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from netprobe.bus import plan_requests
from netprobe.bus.accounts import accounts
from netprobe.bus.agent import AgentBus
from netprobe.bus.callout import issuer_key, new_issuer
from netprobe.bus.collector import CollectorBus, open_collector_bus
from netprobe.bus.connection import Connection, open_connection
from netprobe.bus.keys import new_user, public_key
from netprobe.bus.login import Login, SeedLogin, TokenLogin
from netprobe.bus.server import Callout, Listen, run_server
from netprobe.bus.subjects import plan_get_subject, presence_subject, windows_subject
from netprobe.collector.admission import Admission
from netprobe.collector.bus_auth import BusAuth
from netprobe.errors import BusAwayError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId, ClusterName, NodeName
from netprobe.model.prose import Prose
from netprobe.wire.messages import CheckQuestion, Declined, Presence, Refusal, Reply
from tests.unit.bus.test_tokens import CLUSTERS, signed

VICTIM = AgentId.parse("prod/w2/pod")
THIEF_BY_KEY = AgentId.parse("dev/w.1/host")
THIEF_BY_TOKEN = AgentId.parse("prod/w1/pod")
STREAMS = ("np1_windows", "KV_np1_plans", "KV_np1_agents")
CONSUMER = "np1_windows.collector"
VERBS = ("snapshot", "health", "moment", "watched")


@dataclass(slots=True)
class AttackedBus:
    """Everybody, connected."""

    url: str
    seeds: dict[AgentId, str]
    operator: str
    token: Path
    collector: CollectorBus
    own: Connection
    """By the collector's key, for what the attacks are compared with."""
    victim: AgentBus
    admission: Admission
    own_inbox: str
    """Below which the collector hears its replies."""
    stack: AsyncExitStack
    victim_plans: list[Plan] = field(default_factory=list)
    victim_asked: list[str] = field(default_factory=list)
    queried: list[str] = field(default_factory=list)

    def login_of(self, thief: AgentId) -> Login:
        """The thief's own credential."""
        return SeedLogin(self.seeds[thief]) if thief in self.seeds else TokenLogin(thief, self.token)

    async def open(self, login: Login, name: str) -> Connection:
        """A connection that tries what the library would not."""
        made = await open_connection(self.url, login=login, name=name)
        self.stack.push_async_callback(made.close)
        return made

    async def call(self, verb: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        """JetStream, asked by the collector's key."""
        reply = await self.own.request(f"$JS.API.{verb}", json.dumps(body or {}).encode())
        told: dict[str, Any] = json.loads(reply.data)
        return told

    async def read_state(self) -> dict[str, object]:
        """Streams, the consumer, and what is stored of the victim."""
        state: dict[str, object] = {}
        for stream in STREAMS:
            told = await self.call(f"STREAM.INFO.{stream}", {"subjects_filter": ">"})
            state[stream] = told.get("created", "gone")
            subjects = (told.get("state") or {}).get("subjects") or {}
            state[f"of others in {stream}"] = sorted(
                (subject, count) for subject, count in subjects.items() if not _is_of_a_thief(subject)
            )
        verb = f"CONSUMER.INFO.{CONSUMER}"
        state[CONSUMER] = (await self.call(verb)).get("created", "gone")
        for subject in (
            plan_get_subject(VICTIM),
            f"$JS.API.DIRECT.GET.{STREAMS[2]}.{presence_subject(VICTIM)}",
        ):
            try:
                state[subject] = (await self.own.request(subject, b"")).data
            except BusAwayError:
                state[subject] = "gone"
        return state

    async def restore(self) -> None:
        """Bring back what an attack took, so that the next one finds it."""
        await self.collector.prepare()
        for stream in STREAMS:
            await self.call(f"STREAM.PURGE.{stream}")
        await self.collector.put_plans([plan_of(agent) for agent in (VICTIM, THIEF_BY_KEY, THIEF_BY_TOKEN)])
        await self.victim.announce(Presence(VICTIM, "b00t", 1))
        self.victim_asked.clear()
        self.queried.clear()


def plan_of(agent: AgentId) -> Plan:
    """A plan without checks."""
    return Plan(agent, 1, (), 10**9, b"key")


def _is_of_a_thief(subject: str) -> bool:
    thieves = (THIEF_BY_KEY, THIEF_BY_TOKEN)
    return subject in {each(thief) for thief in thieves for each in (windows_subject, presence_subject)}


@asynccontextmanager
async def world() -> AsyncIterator[AttackedBus]:
    """The bus, for the time of the block."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        # the attacks wait for each answer, and ask for plans more often than an agent may
        stack.enter_context(patch.object(plan_requests, "EVERY_S", 0.0))
        seeds = {agent: new_user()[0] for agent in (VICTIM, THIEF_BY_KEY)}
        operator, own, issuer = new_user()[0], new_user()[0], new_issuer()
        known = accounts(
            {agent: public_key(seed) for agent, seed in seeds.items()},
            (public_key(operator),),
            public_key(own),
        )
        token = folder / "token"
        token.write_text(signed(exp=round(time.time()) + 3_600, nbf=0))
        admission = Admission(CLUSTERS)
        admission.know_pods(ClusterName("prod"), {"pod-uid": NodeName("w1")}, vouched=True)
        listen = Listen("127.0.0.1", 0)
        running = run_server(
            listen, directory=folder / "nats", accounts=known, callout=Callout(issuer_key(issuer))
        )
        server = await stack.enter_async_context(running)
        collector = await stack.enter_async_context(open_collector_bus(server.url, login=SeedLogin(own)))
        auth = BusAuth(admission, None)
        await collector.answer_callouts(issuer_seed=issuer, judge=auth.judge, overload=auth.note_overload)
        raw = await open_connection(server.url, login=SeedLogin(own), name="own")
        stack.push_async_callback(raw.close)
        victim = await AgentBus.connect(server.url, agent=VICTIM, login=SeedLogin(seeds[VICTIM]))
        await stack.enter_async_context(victim)
        made = AttackedBus(
            server.url, seeds, operator, token, collector, raw, victim, admission, SeedLogin(own).inbox, stack
        )
        await _listen(made)
        await made.restore()
        await until_plan(made)
        yield made


async def _listen(made: AttackedBus) -> None:
    async def answer(question: CheckQuestion) -> Reply:
        made.victim_asked.append(question.asked_by)
        return Declined(VICTIM, Prose("no"), Refusal.NOT_ASKABLE)

    async def follow_plans() -> None:
        async for plan in made.victim.plans():
            made.victim_plans.append(plan)

    def answer_query(verb: str) -> Any:
        async def answer_one(_: bytes) -> bytes:
            made.queried.append(verb)
            return b""

        return answer_one

    for verb in VERBS:
        await made.collector.serve(verb, answer_query(verb))
    made.victim.questions(answer)
    following = asyncio.create_task(follow_plans())
    made.stack.callback(following.cancel)
    async with asyncio.timeout(60):
        while not made.victim.is_connected:  # noqa: ASYNC110 - has no event
            await asyncio.sleep(0.01)


async def until_plan(made: AttackedBus) -> None:
    """Wait for the victim's first plan."""
    async with asyncio.timeout(60):
        while not made.victim_plans:  # noqa: ASYNC110 - has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def log_lines(name: str) -> AsyncIterator[list[str]]:
    """The lines that a logger writes in the block."""
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, logger = Collect(level=logging.WARNING), logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
