"""Every answer that a role can ask for, with every target as its reply subject.

Rule: both are generated from the rights table, so a right that is added is tried. A subject of the server is
checked when a message is sent and not when it is answered: that is what these attacks are about.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.bus.connection import Connection
from netprobe.bus.keys import public_key
from netprobe.bus.login import Login, SeedLogin
from netprobe.bus.permissions import agent_rights, operator_user
from netprobe.bus.subjects import (
    EVERY_PROBE,
    EVERY_QUERY,
    inbox_of,
    probe_subject,
    query_subject,
)
from netprobe.errors import BusAwayError
from tests.attack.tally import AttackTally
from tests.attack.world import (
    CONSUMER,
    STREAMS,
    THIEF_BY_KEY,
    THIEF_BY_TOKEN,
    VERBS,
    VICTIM,
    AttackedBus,
    world,
)

BODIES = (b"", b'{"seq":1}')
ROLES = ("agent with a key", "agent with a token", "operator")


async def attack_replies(role: str) -> AttackTally:
    """Every answer with every target, as *role*."""
    tally = AttackTally()
    async with world() as here:
        login, name, answers = _ways_of(here, role)
        thief = await here.open(login, name)
        before = await here.read_state()
        for number, target in enumerate(targets(here)):
            for answer in answers:
                held = await _try(here, thief, answer, target)
                if held:
                    held = await here.read_state() == before and here.victim_plans[1:] == []
                tally.note(f"{answer} → {target}", held=held)
                if not held or number % 8 == 0:
                    await here.restore()
                    before = await here.read_state()
                    del here.victim_plans[1:]
    return tally


def _ways_of(here: AttackedBus, role: str) -> tuple[Login, str, tuple[str, ...]]:
    if role == "operator":
        return SeedLogin(here.operator), "asker", tuple(operators_answers(here))
    agent = THIEF_BY_KEY if role == "agent with a key" else THIEF_BY_TOKEN
    login = here.login_of(agent)
    return login, str(agent), agent_rights(agent, login.inbox).publish


def operators_answers(here: AttackedBus) -> Iterator[str]:
    """Where an operator is answered: each of its rights, with the wildcard filled in."""
    for right in operator_user(public_key(here.operator))["permissions"]["publish"]["allow"]:
        match right:
            case _ if right == EVERY_QUERY:
                yield from map(query_subject, VERBS)
            case _ if right == EVERY_PROBE:
                yield probe_subject(VICTIM)
            case _:
                yield right


def targets(here: AttackedBus) -> Iterator[str]:
    """What must not be reached: the victim's subjects, and what streams, buckets and logins are ruled by."""
    rights = agent_rights(VICTIM, inbox_of(public_key(here.seeds[VICTIM])))
    yield from rights.publish
    yield from (subject.replace(">", "1") for subject in rights.subscribe)
    for stream in STREAMS:
        for verb in ("DELETE", "PURGE", "UPDATE", "MSG.DELETE", "MSG.GET", "SNAPSHOT"):
            yield f"$JS.API.STREAM.{verb}.{stream}"
    yield f"$JS.API.CONSUMER.DELETE.{CONSUMER}"
    yield f"$JS.API.CONSUMER.MSG.NEXT.{CONSUMER}"
    yield f"$JS.ACK.{CONSUMER}.1.1.1.1.0"
    yield "$SYS.REQ.USER.AUTH"
    yield "$SYS.REQ.SERVER.PING"
    yield from map(query_subject, VERBS)


async def _try(here: AttackedBus, thief: Connection, answer: str, target: str) -> bool:
    """Ask, with *target* as the reply subject; whether the answer reached no question or query."""
    for body in BODIES:
        here.queried.clear()
        here.victim_asked.clear()
        await thief.publish(answer, body, reply=target)
        try:
            await thief.request(answer, body)  # later on the same subject: the first has been answered by now
        except BusAwayError:  # what would answer is gone
            return False
        asked = len(here.queried) + len(here.victim_asked)
        if asked > 2 * answer.startswith(("np1.query.", "np1.probe.")):
            return False
    return True
