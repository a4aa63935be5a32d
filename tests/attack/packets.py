"""Attacks on answers and requests between agents, on loopback: with a stolen plan, from elsewhere, recorded.

Rule: plans get their keys by the code that the collector uses, and the agents attacked are real engines.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

from netprobe.engine.engine import Engine
from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind, check_id
from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import AgentId, ClusterName, NodeName
from netprobe.model.outcome import Reached, WrongPeer
from netprobe.model.window import Measured
from netprobe.planning.plan_keys import add_keys, remove_keys
from netprobe.probes.observation import Observation
from netprobe.wire import stamp
from netprobe.wire.pair_keys import derive_asker_key
from netprobe.wire.stamp import Seal, short_name
from tests.attack.tally import AttackTally

ASKER, VICTIM, THIEF = (AgentId.parse(f"prod/{node}/pod") for node in ("w1", "w2", "w3"))
HERE, ASKED, ELSEWHERE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
TIMEOUT_NS = 250_000_000
LISTENS_S = 0.4
"""Longer than an agent gathers requests before it answers."""
FLEET_KEY = b"the one key of the previous build"
_REQUESTS = 5
_SECOND_S = 1.1
"""After so long, what is sealed was sealed after an agent's start, which counts in whole seconds."""
Address = tuple[str, int]


def make_plans(
    *, master: bytes = b"the secret of one fleet".ljust(32), key_epoch: int = 7
) -> dict[AgentId, Plan]:
    """The plans of three agents that may all ask each other."""
    nodes = tuple(Node(NodeName(agent.node), pod_addresses=(HERE,)) for agent in (ASKER, VICTIM, THIEF))
    inventory = Inventory((Cluster(ClusterName("prod"), nodes),))
    bare = [Plan(agent, 1, (), 200_000_000, FLEET_KEY) for agent in (ASKER, VICTIM, THIEF)]
    keyed = add_keys(bare, inventory, master=master, key_epoch=key_epoch)
    return {plan.agent: plan for plan in keyed}


def make_check(address: Address, target: AgentId = VICTIM) -> Check:
    """One udp probe of *target*."""
    asked = Target(TargetKind.AGENT, address[0], str(target))
    probe = Probe("udp", port=address[1], timeout_ns=TIMEOUT_NS)
    return Check(check_id(ASKER, asked, probe), ASKER, asked, probe, Layer.POD)


@dataclass(slots=True)
class Attacked:
    """An agent, and its reports."""

    engine: Engine
    told: list[Measured] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Where it answers."""
        return self.engine.port

    @property
    def heard(self) -> int:
        """How many requests it has counted; those of the last intervals are not told yet."""
        far_ns = time.time_ns() + 10**12
        late = self.engine._reflector.heard(until_ns=far_ns, everything_ns=far_ns)
        return sum(one.received for one in (*late, *(row for each in self.told for row in each.heard)))


@asynccontextmanager
async def running(*plans: Plan) -> AsyncIterator[list[Attacked]]:
    """An agent for each plan, on a port of its own."""
    async with AsyncExitStack() as stack:
        agents = []
        for plan in plans:
            engine = await stack.enter_async_context(Engine(plan.agent, boot="b00t", port=0))
            engine.use(plan)
            agents.append(Attacked(engine))
            stack.push_async_callback(_end, asyncio.create_task(engine.run(agents[-1].told.append)))
        yield agents


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


@contextmanager
def open_socket(address: str = HERE, port: int = 0) -> Iterator[socket.socket]:
    """A thief's socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((address, port))
        yield sock


@dataclass(slots=True)
class Forger(asyncio.DatagramProtocol):
    """Hears every request at the address that is asked, and answers it in another agent's name."""

    seals: list[Seal]
    """A key, and in whose name it is used."""
    told_by: AgentId
    answering: socket.socket
    is_paired: bool = True

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Answer with every key that the thief has."""
        head = stamp.peek_asker(data)
        if head is None:
            return
        sequence = int.from_bytes(data[:4], "big")
        check, boot = (int.from_bytes(data[at : at + size], "big") for at, size in ((52, 8), (60, 4)))
        now = stamp.ntp_of(time.time_ns())
        for seal in self.seals:
            answer = stamp.StampAnswer(
                check, boot, sequence, now, now, now, sequence, sequence, sequence,
                addr[0], addr[1], addr[1], 64, str(self.told_by), is_paired=self.is_paired,
            )  # fmt: skip
            self.answering.sendto(stamp.encode_answer(answer, key=seal.key, size=len(data)), addr)


async def _ask_forger(
    asking: Plan, seals: list[Seal], *, source: str = ASKED, is_paired: bool = True
) -> Observation:
    loop = asyncio.get_running_loop()
    with (
        open_socket(ASKED) as asked,
        open_socket(source, 0 if source == ASKED else asked.getsockname()[1]) as other,
    ):
        answering = asked if source == ASKED else other
        forger = Forger(seals, VICTIM, answering, is_paired)
        transport, _ = await loop.create_datagram_endpoint(lambda: forger, sock=asked.dup())
        async with running(asking) as (asker,):
            (seen,) = await asker.engine.ask(make_check(asked.getsockname()))
        transport.close()
    return seen


def _seals_of(plan: Plan) -> list[Seal]:
    """Everything that can be made of the keys in a plan, under every name."""
    names = [short_name(str(agent)) for agent in (ASKER, VICTIM, THIEF)]
    held = [key for _, keys in plan.own_keys for key in keys] + [key for _, key in plan.target_keys]
    held += [derive_asker_key(key, name) for key in held for name in names]
    return [Seal(key, name) for key in held for name in names]


async def attack_with_a_stolen_plan() -> AttackTally:
    """The thief's whole plan is known: answer for the victim, and ask the victim in another's name."""
    tally, plans = AttackTally(), make_plans()
    stolen = _seals_of(plans[THIEF])
    for is_paired in (True, False):
        seen = await _ask_forger(plans[ASKER], stolen, is_paired=is_paired)
        for _ in stolen:
            tally.note(f"answer for {VICTIM}", held=not isinstance(seen.outcome, Reached | WrongPeer))
    async with running(plans[VICTIM]) as (victim,):
        # to ask in its own name is what the plan is for
        others = [seal for seal in stolen if seal.asker != short_name(str(THIEF))]
        got = await _listen_for_answers(victim.port, [_request(seal) for seal in others])
        heard = victim.heard
        for seal in others:
            tally.note(f"ask in the name of {seal.asker.decode()}", held=not got and not heard)
    return tally


async def attack_from_elsewhere() -> AttackTally:
    """The victim's plan is known: answer for it from another address; that is shown, and not believed."""
    tally, plans = AttackTally(), make_plans()
    right = Seal(dict(plans[ASKER].target_keys)[str(VICTIM)])
    for number in range(_REQUESTS):
        seen = await _ask_forger(plans[ASKER], [right], source=ELSEWHERE)
        told = isinstance(seen.outcome, WrongPeer) and seen.answered_by == f"{VICTIM} at {ELSEWHERE}"
        tally.note(f"answer {number} from {ELSEWHERE}", held=told)
    return tally


async def attack_with_recordings() -> AttackTally:
    """Requests of the asker are recorded: sent again, to other agents, and after a restart of the victim."""
    tally, plans = AttackTally(), make_plans()
    async with running(plans[VICTIM], plans[THIEF]) as (victim, other):
        await asyncio.sleep(_SECOND_S)
        recorded = await _record(plans[ASKER])
        first = await _listen_for_answers(victim.port, recorded)
        tally.note("they are genuine", held=len(first) == len(recorded) == victim.heard)
        tally.note("again", held=not await _listen_for_answers(victim.port, recorded))
        answers = await _listen_for_answers(other.port, recorded)
        tally.note("at another agent", held=all(_is_pointing_out(answer) for answer in answers))
        tally.note("at another agent, counted", held=not other.heard)
    async with running(plans[VICTIM]) as (victim,):
        await _listen_for_answers(victim.port, recorded)
        tally.note("after a restart, counted", held=not victim.heard)
        tally.note("after a restart, again", held=not await _listen_for_answers(victim.port, recorded))
    return tally


async def attack_as_a_stranger() -> AttackTally:
    """Ask an agent without being one of its peers."""
    tally, plans = AttackTally(), make_plans()
    right = Seal(dict(plans[ASKER].target_keys)[str(VICTIM)], short_name(str(ASKER)))
    another = make_plans(master=b"the secret of another fleet".ljust(32))
    late = make_plans(key_epoch=9)
    alone = replace(plans[VICTIM], peers=tuple(one for one in plans[VICTIM].peers if one[0] != ASKER))
    for what, plan, seal in (
        ("not a peer", alone, right),
        ("withdrawn", remove_keys(plans[VICTIM]), right),
        ("of another fleet", plans[VICTIM], Seal(dict(another[ASKER].target_keys)[str(VICTIM)], right.asker)),
        ("keys of two epochs ago", late[VICTIM], right),
        ("the fleet's one key", plans[VICTIM], Seal(FLEET_KEY)),
        ("a name that does not exist", plans[VICTIM], Seal(right.key, short_name("prod/w9/pod"))),
    ):  # fmt: skip
        async with running(plan) as (victim,):
            answers = await _listen_for_answers(victim.port, [_request(seal)])
            tally.note(what, held=all(_is_pointing_out(one) for one in answers) and not victim.heard)
    return tally


def _request(seal: Seal, sequence: int = 1) -> bytes:
    now_s = int(time.time())
    made = stamp.Request(7, 1, sequence, stamp.ntp_of(now_s * 10**9), 1, asker=seal.asker, sent_s=now_s)
    return stamp.encode_request(made, key=seal.key)


async def _record(asking: Plan) -> list[bytes]:
    with open_socket(ASKED) as ear:
        async with running(asking) as (asker,):
            await asker.engine.ask(replace(make_check(ear.getsockname()), count=_REQUESTS))
        return [ear.recv(2048) for _ in range(_REQUESTS)]


async def _listen_for_answers(port: int, packets: list[bytes]) -> list[bytes]:
    """Send from an address that the plans do not know as anybody's."""
    with open_socket(ELSEWHERE) as thief:
        for packet in packets:
            thief.sendto(packet, (HERE, port))
        await asyncio.sleep(LISTENS_S)
        answers = []
        while True:
            try:
                answers.append(thief.recv(2048))
            except BlockingIOError:
                return answers


def _is_pointing_out(answer: bytes) -> bool:
    head = stamp.peek_answer(answer)
    return head is not None and head.is_astray
