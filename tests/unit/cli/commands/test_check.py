"""``netprobe check``: names become a question, the question goes over a real bus, the answer reads well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import yaml
from click.testing import CliRunner, Result

from netprobe.analysis.queries.slow_probes import ProbePath
from netprobe.bus.agent import AgentBus
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.keys import write_seed
from netprobe.bus.login import SeedLogin
from netprobe.cli.actions.check import (
    describe_answer,
    describe_comparison,
    describe_loop,
    document,
    exit_code,
)
from netprobe.cli.main import cli
from netprobe.cli.options.source import Source
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.check import Check, Probe, TargetKind
from netprobe.model.names import ClusterName, NodeName
from netprobe.model.outcome import (
    AppFailed,
    NotMeasured,
    NotResolved,
    Outcome,
    Reached,
    Refused,
    Rejected,
    TimedOut,
    TooBig,
    WrongPeer,
)
from netprobe.model.prose import Prose
from netprobe.probes.firewalk import control_of
from netprobe.probes.observation import make_facts
from netprobe.probes.routing_loop import RoutingLoop, write_loop
from netprobe.wire.conclusions import encode_snapshot
from netprobe.wire.messages import CheckAnswer, CheckQuestion, Declined, OutcomeDetail, Refusal, Reply
from netprobe.workflows.check_target import CheckRequest, make_check
from netprobe.workflows.on_demand import ask_patiently
from tests import fleets
from tests.unit.nats_server import PROD, needs_nats_server, town, until

SNAPSHOT = fleets.healthy()
INVENTORY = replace(SNAPSHOT.inventory, allowed_targets=("192.0.2.0/28",))
SNAPSHOT_WITH_ALLOWED = replace(SNAPSHOT, inventory=INVENTORY)
CLUSTER = INVENTORY.clusters[0]
NODE = next(node for node in CLUSTER.nodes if node.name == "w1")
HERE = f"{CLUSTER.name}/w1"
THERE = f"{INVENTORY.clusters[1].name}/w1"


@pytest.mark.parametrize(
    ("target", "kind", "probe"),
    [
        pytest.param(f"{THERE}/pod", TargetKind.AGENT, ("udp", 9771), id="agent"),
        pytest.param(THERE, TargetKind.NODE, ("icmp", 0), id="node"),
        pytest.param(f"{CLUSTER.name}/{CLUSTER.services[0].qualified}", TargetKind.SERVICE,
                     ("http", CLUSTER.services[0].port), id="service"),
        pytest.param(f"{CLUSTER.name}/dns", TargetKind.DNS, ("dns", 0), id="dns"),
        pytest.param("192.0.2.7", TargetKind.OUTSIDE, ("icmp", 0), id="allowed address"),
        pytest.param(NODE.pod_addresses[0], TargetKind.AGENT, ("udp", 9771), id="known address"),
    ],
)  # fmt: skip
def test_a_name_becomes_a_question(target: str, kind: TargetKind, probe: tuple[str, int]) -> None:
    check = make_check(INVENTORY, HERE, target, CheckRequest())
    assert (check.target.kind, (check.probe.kind, check.probe.port)) == (kind, probe)
    assert str(check.source) == f"{HERE}/pod"


def test_a_cluster_may_be_written_by_its_first_words() -> None:
    source, target = HERE.partition("-")[0], THERE.partition("-")[0]
    assert f"{source}/w1" != HERE
    named = make_check(INVENTORY, f"{source}/w1", f"{target}/w1/pod", CheckRequest())
    assert named == make_check(INVENTORY, HERE, f"{THERE}/pod", CheckRequest())
    other = replace(INVENTORY.clusters[1], name=ClusterName(f"{source}-another"))
    with pytest.raises(InputError, match="ambiguous"):
        make_check(replace(INVENTORY, clusters=(CLUSTER, other)), f"{source}/w1", THERE, CheckRequest())


def test_what_the_options_say_is_asked() -> None:
    wanted = CheckRequest("tcp", port=8080, timeout_s=0.5)
    assert make_check(INVENTORY, HERE, THERE, wanted).probe == Probe("tcp", 8080, timeout_ns=500_000_000)


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        pytest.param("prod", THERE, "'prod/pod' is not <cluster>/<node>/pod", id="no node"),
        pytest.param(
            "mars/w1", THERE, "SOURCE: mars/w1/pod is not an agent of this fleet", id="no such agent"
        ),
        pytest.param(HERE, "mars/w1", "TARGET: 'mars/w1' is not an agent, node, ", id="no such target"),
        pytest.param(HERE, f"{CLUSTER.name}/w99", "TARGET: ", id="no such node"),
        pytest.param(
            HERE, "192.0.2.16", "TARGET: '192.0.2.16' is not an agent, ", id="outside the allow-list"
        ),
        pytest.param(
            HERE, "example.org", "TARGET: 'example.org' is not an agent, ", id="a name of the world"
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line(source: str, target: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        make_check(INVENTORY, source, target, CheckRequest())
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


QUESTION = make_check(INVENTORY, HERE, f"{THERE}/pod", CheckRequest("tcp", port=80))


@pytest.mark.parametrize(
    ("outcome", "words", "code"),
    [
        (Reached(1_500_000), "reached in 1.5 ms.", 0),
        (Refused(310_000), "refused in 310 µs: the host is alive, but the port has no listener.", 1),
        (Rejected("10.1.0.1", 3, 13), "rejected by 10.1.0.1: administratively prohibited (3/13).", 1),
        (TimedOut(800_000_000), "no answer within 800 ms.", 1),
        (TooBig(1300, "10.1.0.1"), "too big: 10.1.0.1 passes 1300 bytes.", 1),
        (NotResolved("a.b", "NXDOMAIN"), "a.b: NXDOMAIN.", 1),
        (AppFailed(Prose("HTTP status 503")), "HTTP status 503.", 1),
        (WrongPeer("a/b/pod", "x/y/pod", 5_000), "the wrong peer answered in 5 µs: x/y/pod, not a/b/pod.", 1),
        (NotMeasured(Prose("no socket")), "not measured: no socket.", 2),
    ],
    ids=lambda value: str(value.kind) if hasattr(value, "kind") else "",
)
def test_every_outcome_is_one_sentence(outcome: Outcome, words: str, code: int) -> None:
    answer = CheckAnswer(QUESTION.source, QUESTION.id, (outcome,))
    told = list(describe_answer(QUESTION, answer))
    assert " ".join(told).endswith(words)
    assert " ".join(told).startswith(f"{HERE}/pod asked {THERE}/pod ({QUESTION.target.address}) by tcp port")
    assert max(map(len, told)) <= 80
    assert exit_code(answer) == code


def test_several_probes_are_counted_with_their_duplicates_and_source_ports() -> None:
    wanted = CheckRequest("udp", options=(("source-port", "40000-40002"),))
    question = make_check(INVENTORY, HERE, f"{THERE}/pod", wanted)
    assert question.count == 3
    values = (("source-port 40000", "answers 2"), ("source-port 40001",), ("source-port 40002",))
    answer = CheckAnswer(question.source, question.id, (Reached(5_000), TimedOut(9), Reached(7_000)),
                         tuple(OutcomeDetail(values=each) for each in values))  # fmt: skip
    told = " ".join(" ".join(describe_answer(question, answer)).split())
    assert "source-port 40000-40002: reached 2 of 3 (in 6 µs), timed-out 1, 1 duplicated." in told
    assert "timed-out from source port 40001" in told
    assert "reached from source port 40000,40002" in told
    assert exit_code(answer) == 1


def test_a_lost_probe_is_told_beside_the_same_with_the_default_header() -> None:
    wanted = CheckRequest("tcp", port=22, options=(("dscp", "18"),))
    question = make_check(INVENTORY, HERE, f"{THERE}/pod", wanted)
    lost, plain = (
        CheckAnswer(question.source, question.id, (each,))
        for each in (TimedOut(800_000_000), Reached(90_000))
    )
    (line,) = describe_comparison(question, plain)
    assert line == "Without dscp=18: reached in 90 µs."
    assert list(describe_comparison(question, None)) == []
    (compared,) = cast("list[dict[str, object]]", document(question, lost, plain)["with_default_header"])
    assert compared["kind"] == "reached"


def test_the_nodes_of_a_routing_loop_are_named_by_the_inventory() -> None:
    question = make_check(INVENTORY, HERE, f"{THERE}/pod", CheckRequest("trace"))
    loop = RoutingLoop((NODE.host_addresses[0], "192.0.2.99"), 3)
    told = OutcomeDetail(words=Prose(str(loop)), values=(write_loop(loop),))
    answer = CheckAnswer(question.source, question.id, (Rejected("192.0.2.99", 11, 0),), (told,))
    assert str(loop) in " ".join(" ".join(describe_answer(question, answer)).split())
    named = " ".join(describe_loop(INVENTORY, answer))
    assert named == f"Routing loop between {HERE} and 192.0.2.99, from hop 3 on."
    strange = CheckAnswer(question.source, question.id, (Reached(1),), (OutcomeDetail(),))
    assert list(describe_loop(INVENTORY, strange)) == []


def test_an_agent_is_asked_by_tcp_to_answer_data() -> None:
    agents_own = make_check(INVENTORY, HERE, f"{THERE}/pod", CheckRequest("tcp"))
    assert agents_own.probe.options == (("data", "answer"),)
    assert make_check(INVENTORY, HERE, f"{THERE}/pod", CheckRequest("tcp", port=22)).probe.options == ()


def test_details_follow_and_stay_within_80_columns() -> None:
    facts = (("hop 1", "word " * 40),)
    detail = OutcomeDetail(
        "a/b/pod",
        "10.0.0.9",
        Prose(""),
        (("connect", 1_000_000), ("first-byte", 2_000_000)),
        make_facts(facts),
    )
    told = list(
        describe_answer(QUESTION, CheckAnswer(QUESTION.source, QUESTION.id, (Reached(3_000_000),), (detail,)))
    )
    assert "  answered by  a/b/pod" in told
    assert "  seen as      10.0.0.9 by the far end" in told
    assert "  phases       connect 1.0 ms, first-byte 2.0 ms" in told
    assert max(map(len, told)) <= 80


def test_how_it_was_asked_is_said_and_how_far_it_came() -> None:
    def told(wanted: CheckRequest, outcome: Outcome, *phases: tuple[str, int]) -> list[str]:
        question = make_check(INVENTORY, HERE, f"{THERE}/pod", wanted)
        return list(
            describe_answer(
                question,
                CheckAnswer(question.source, question.id, (outcome,), (OutcomeDetail(phases_ns=phases),)),
            )
        )

    secure = CheckRequest("http", port=443, options=(("tls", "yes"),))
    asked = told(secure, AppFailed(Prose("HTTP status 503")), ("connect", 1_000_000))
    assert "by http inside TLS port 443: HTTP status 503." in " ".join(asked)
    assert asked[-1] == "  phases  connect 1.0 ms"
    traced = told(CheckRequest("trace", options=(("transport", "icmp"),)), Reached(1_000_000))
    assert " ".join(traced).endswith("by trace over ICMP: reached in 1.0 ms.")


# --- over a bus ------------------------------------------------------------------------------


@asynccontextmanager
async def fleet(
    directory: Path,
    reply: Outcome | None,
    *,
    facts: tuple[tuple[str, str], ...] = (),
    unknown: frozenset[str] = frozenset(),
) -> AsyncIterator[tuple[str, ...]]:
    """A bus with a collector that tells of one agent, and that agent; yields the options to ask it.

    The agent is of a build that does not know the options named *unknown*.
    """
    cluster = replace(CLUSTER, name=PROD.cluster)
    snapshot = replace(SNAPSHOT, inventory=replace(INVENTORY, clusters=(cluster,)))

    async def tell_snapshot(_: bytes) -> bytes:
        return encode_snapshot(snapshot)

    async def answer(question: CheckQuestion) -> Reply:
        if reply is None:
            return Declined(PROD, Prose("the rate is spent"))
        if unknown.intersection(dict(question.check.probe.options)):
            return Declined(PROD, Prose("no such option"), Refusal.NOT_ASKABLE)
        return CheckAnswer(
            PROD,
            question.check.id,
            (reply,),
            (OutcomeDetail(answered_by="prod/w2/pod", facts=make_facts(facts)),),
        )

    async with (
        town(directory) as here,
        open_collector_bus(here.url, login=SeedLogin(here.collector)) as collector,
    ):
        await collector.serve("snapshot", tell_snapshot)
        async with await AgentBus.connect(here.url, agent=PROD, login=SeedLogin(here.seeds[PROD])) as agent:
            agent.questions(answer)
            await until(lambda: agent.is_connected)
            seed = directory / "operator.seed"
            write_seed(seed, here.operator)
            yield ("--bus", here.url, "--seed", str(seed))


async def run(*words: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, cli, ["check", *words])


@needs_nats_server
async def test_an_agent_that_knows_no_option_of_ours_is_asked_without_it(tmp_path: Path) -> None:
    async with fleet(tmp_path, Reached(1_500_000), unknown=frozenset({"data"})) as options:
        target = f"{PROD.cluster}/w1/host"
        filled_in = await run("prod/w1", target, "--probe", "tcp", *options)
        asked_for = await run("prod/w1", target, "--probe", "tcp", "--option", "data=ack", *options)
    assert (filled_in.exit_code, "reached" in filled_in.output) == (0, True), filled_in.output
    assert asked_for.exit_code != 0
    assert "no such option" in str(asked_for.exception)


@needs_nats_server
async def test_who_asks_for_minutes_is_told_so_and_what_came_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = replace(SNAPSHOT.checks[0], source=PROD, count=1)
    quiet = replace(check, probe=replace(check.probe, kind="idle", timeout_ns=420_000_000_000))
    silent = replace(check, source=replace(PROD, node=NodeName("w9")))
    way = ProbePath(PROD, PROD)
    async with fleet(tmp_path, Reached(1_500_000), facts=(("350 s quiet", "lives"),)) as options:
        access = Source(url=options[1], seed=Path(options[3])).find_access()
        lines = await asyncio.to_thread(ask_patiently, access, way, [quiet, silent])
    who = f"{PROD} idle {check.target.name}"
    assert lines[0] == f"{who}: reached 1; 350 s quiet: lives"
    assert ": not asked: no answer on the bus" in lines[1]
    assert capsys.readouterr().err == "netprobe: asking; this may take 7 min\n"


@needs_nats_server
async def test_a_question_goes_over_the_bus_and_comes_back_in_every_form(tmp_path: Path) -> None:
    async with fleet(tmp_path, Reached(1_500_000)) as options:
        table = await run("prod/w1", "prod/w2/pod", *options)
        as_json = await run("prod/w1", "prod/w2/pod", "-o", "json", *options)
        as_yaml = await run("prod/w1", "prod/w2/pod", "-o", "yaml", *options)
    assert table.exit_code == 0, table.output
    assert table.output.splitlines()[-1] == "  answered by  prod/w2/pod"
    told = json.loads(as_json.output)
    assert (told["schema"], told["reached"], told["outcomes"][0]["rtt_ns"]) == (
        "netprobe/check", True, 1_500_000,
    )  # fmt: skip
    assert yaml.safe_load(as_yaml.output) == told


@needs_nats_server
async def test_not_reached_is_1_and_not_asked_is_an_error(tmp_path: Path) -> None:
    async with fleet(tmp_path / "a", TimedOut(5)) as options:
        lost = await run("prod/w1", "prod/w2/pod", *options)
        unknown = await run("prod/w1", "prod/w2/pod", "--probe", "telepathy", *options)
        port = await run("prod/w1", "prod/w2/pod", "--probe", "tcp", "--port", "70000", *options)
        zero = await run("prod/w1", "prod/w2/pod", "--probe", "tcp", "--port", "0", *options)
        again = await run("prod/w1", "prod/w2/pod", *options)
    async with fleet(tmp_path / "b", None) as options:
        declined = await run("prod/w1", "prod/w2/pod", *options)
    assert (lost.exit_code, again.exit_code) == (1, 1), "a wrong question harms no later one"
    assert str(unknown.exception).startswith("probe.kind: unknown probe kind 'telepathy'")
    assert str(port.exception) == "probe.port: port 70000 is not within 1–65535"
    assert str(zero.exception) == "probe.port: port 0 is not within 1–65535"
    assert isinstance(declined.exception, SystemRefusedError)
    assert str(declined.exception) == "prod/w1/pod declined: the rate is spent"


def test_a_bundle_cannot_be_asked_anything_new(tmp_path: Path) -> None:
    from netprobe.store.bundle import write_bundle  # noqa: PLC0415

    write_bundle(tmp_path / "evidence", SNAPSHOT)
    result = CliRunner().invoke(cli, ["check", HERE, f"{THERE}/pod", "--from", str(tmp_path / "evidence")])
    assert str(result.exception) == "--from: a bundle cannot answer live checks; ask a lab or a collector"


def test_every_kind_of_target_has_a_layer() -> None:
    checks: list[Check] = [
        make_check(INVENTORY, HERE, text, CheckRequest()) for text in (THERE, f"{THERE}/pod")
    ]
    assert len({check.layer for check in checks}) == 2


@pytest.mark.parametrize(
    ("target", "words", "said"),
    [
        (THERE, "--probe telepathy", "probe.kind: unknown probe kind 'telepathy'; known are "),
        (THERE, "--probe tcp --port 0", "probe.port: port 0 is not within 1–65535"),
        (THERE, "--probe tcp --port 70000", "probe.port: port 70000 is not within 1–65535"),
        (THERE, "--probe tcp --port -1", "probe.port: port -1 is not within 1–65535"),
        (THERE, "--probe icmp --option transprot=tcp", "probe.options.transprot: icmp has no such option"),
        (THERE, "--probe trace --option transprot=tcp", "probe.options.transprot: trace has no such o"),
        (THERE, "--probe trace --option transport=icmp --port 80", "probe.port: port 80: an ICMP trace h"),
        (THERE, "--probe trace --option tcp", "--option: 'tcp' is not KEY=VALUE"),
        (THERE, "--probe tls --size 100", "probe.size: size 100: tls chooses its own packet sizes"),
        (THERE, "--probe dns --name a..b", "probe.name: 'a..b' is not a DNS name"),
        (THERE, "--probe http --option status=abc", "probe.options.status: 'abc' is not an HTTP status"),
        (THERE, "--probe udp --timeout 61", "probe.timeout_ns: 61 s is not within 1 ns–60 s"),
        ("192.0.2.7", "--probe firewalk --port 80", "probe.options.control: a firewalk needs a control "),
        (THERE, "--probe firewalk --port 9771", "probe.options.control: a firewalk needs a control por"),
        ("example.org", "", "TARGET: 'example.org' is not an agent, node, service or DNS of this"),
        ("203.0.113.9", "--probe tcp --port 80", "TARGET: '203.0.113.9' is not an agent, node, service or "),
    ],
)  # fmt: skip
def test_a_wrong_question_is_one_line_and_is_not_asked(
    tmp_path: Path, target: str, words: str, said: str
) -> None:
    from netprobe.store.bundle import write_bundle  # noqa: PLC0415

    write_bundle(tmp_path / "evidence", SNAPSHOT_WITH_ALLOWED)
    result = CliRunner().invoke(
        cli, ["check", HERE, target, *words.split(), "--from", str(tmp_path / "evidence")]
    )
    assert isinstance(result.exception, InputError), result
    assert str(result.exception).startswith(said)
    assert "\n" not in str(result.exception)


def test_a_firewalks_control_port_is_the_port_of_the_agents() -> None:
    elsewhere = replace(INVENTORY, agent_port=9_772)
    wanted = CheckRequest("firewalk", port=80)
    assert make_check(elsewhere, HERE, f"{THERE}/pod", wanted).probe.option("control") == "9772"
    told = replace(wanted, options=(("control", "443"),))
    assert make_check(elsewhere, HERE, f"{THERE}/pod", told).probe.option("control") == "443"
    assert make_check(elsewhere, HERE, "192.0.2.7", wanted).probe.option("control") == ""
    former = make_check(elsewhere, HERE, f"{THERE}/pod", replace(wanted, options=(("witness", "443"),)))
    assert control_of(former.probe) == "443"
