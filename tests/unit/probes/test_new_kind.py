"""A new probe kind is one file (``finger.py`` beside this one) and one line in the registry, nothing else.

It is then validated, asked by an engine, offered and explained by ``netprobe check``, unknown to the SSH
fallback and left out of the layered vector.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from netprobe.analysis.plan.index import Aspect, aspect_of
from netprobe.cli.actions.check import describe_answer
from netprobe.discovery.ssh.fallback_tools import find_tools
from netprobe.engine.engine import Engine
from netprobe.engine.plan_validation import find_unaskable
from netprobe.errors import InputError
from netprobe.model.check import Check, Plan, Probe
from netprobe.model.outcome import AppFailed, OutcomeKind, Reached, Refused
from netprobe.model.prose import Prose
from netprobe.model.window import Measured
from netprobe.probes import registry
from netprobe.wire.messages import CheckAnswer, OutcomeDetail
from netprobe.workflows.check_target import CheckRequest, make_check
from tests import fleets
from tests.unit.probes import questions
from tests.unit.probes.questions import ASKER

THE_LINE = ("finger", "tests.unit.probes.finger")
INVENTORY = fleets.healthy().inventory
HERE, THERE = (f"{cluster.name}/w1" for cluster in INVENTORY.clusters[:2])


@pytest.fixture(autouse=True)
def line_in_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.KINDS, *THE_LINE)


@asynccontextmanager
async def finger_server(answer: bytes) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readline()
        writer.write(answer.replace(b"%", asked.strip()))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def finger_check(port: int, **options: str) -> Check:
    probe = Probe("finger", port=port, timeout_ns=30_000_000_000, options=tuple(sorted(options.items())))
    return questions.make_check(probe, address="127.0.0.1", count=1)


async def test_the_engine_asks_it_on_demand() -> None:
    async with Engine(ASKER, boot="one", port=0) as engine:
        async with finger_server(b"% is idle\r\nNo Plan.\r\n") as port:
            (seen,) = await engine.ask(finger_check(port, user="ada", whois="yes"))
        (refused,) = await engine.ask(finger_check(port))
        async with finger_server(b"") as port:
            (silent,) = await engine.ask(finger_check(port))
    assert isinstance(seen.outcome, Reached)
    assert seen.facts == (("user", Prose("/W ada is idle")),)
    assert isinstance(refused.outcome, Refused)
    assert silent.outcome == AppFailed(Prose("the finger server said nothing"))
    assert "finger" in engine.capabilities


async def test_the_engine_asks_it_in_a_plan() -> None:
    got: list[Measured] = []
    async with finger_server(b"%\r\n") as port, Engine(ASKER, boot="one", port=0) as engine:
        check = finger_check(port)
        check = replace(check, probe=replace(check.probe, timeout_ns=10_000_000_000))  # it is waited for
        engine.use(Plan(ASKER, 1, (check,), 200_000_000, b"a key for one test".ljust(32)))
        await engine.run(got.append, intervals=1)
    ((window,),) = (measured.windows for measured in got)
    outcomes = dict(window.outcomes)
    assert outcomes.keys() <= {OutcomeKind.REACHED, OutcomeKind.NOT_MEASURED}, (
        "not measured where we stood still"
    )
    assert sum(outcomes.values()) == 1


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (Probe("finger", port=70_000), "probe.port: port 70000 "),
        (Probe("finger", options=(("whois", "maybe"),)), "probe.options.whois: 'maybe' is neither "),
        (Probe("finger", options=(("usr", "ada"),)), "probe.options.usr: finger has no such option; known "),
        (Probe("finger", timeout_ns=61_000_000_000), "probe.timeout_ns: 61 s is not within 1 ns–60 s"),
    ],
    ids=["port", "choice", "unknown option", "time"],
)  # fmt: skip
def test_it_is_validated(probe: Probe, said: str) -> None:
    with pytest.raises(InputError) as caught:
        registry.validate(probe)
    assert str(caught.value).startswith(said)
    check = questions.make_check(probe, address="127.0.0.1")
    reasons = find_unaskable(Plan(ASKER, 1, (check,), 10_000_000_000, b"key"))
    assert reasons[check.id].startswith(said)


def test_netprobe_check_makes_the_question_and_explains_the_answer() -> None:
    check = make_check(INVENTORY, HERE, f"{THERE}/pod", CheckRequest("finger"))
    assert check.probe == Probe("finger", INVENTORY.agent_port, timeout_ns=7_000_000_000)
    answer = CheckAnswer(
        check.source,
        check.id,
        (Reached(1_500_000),),
        details=(OutcomeDetail(facts=(("user", Prose("ada")),)),),
    )
    text = "\n".join(describe_answer(check, answer))
    assert f"by finger port {INVENTORY.agent_port}: reached in 1.5 ms." in " ".join(text.split())
    assert "user  ada" in text


def test_netprobe_check_offers_it() -> None:
    program = (
        "from netprobe.probes import registry\n"
        f"registry.KINDS[{THE_LINE[0]!r}] = {THE_LINE[1]!r}\n"
        "from netprobe.cli.main import cli\n"
        "cli(['check', '--help'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ", finger, firewalk" in " ".join(done.stdout.split())


def test_no_host_tool_asks_it() -> None:
    assert find_tools("finger") == ()


def test_it_stays_out_of_the_layered_vector() -> None:
    check = finger_check(79)
    assert aspect_of(check) is Aspect.OTHER
    assert aspect_of(replace(check, target=replace(check.target, address="fd00::1"))) is Aspect.OTHER
