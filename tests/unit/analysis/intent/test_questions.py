"""From cells to questions and from replies to sights."""

from __future__ import annotations

import pytest

from netprobe.analysis.intent.drop_location import place_drops, plan_walks
from netprobe.analysis.intent.questions import find_unaskable, plan_asks, read_reply
from netprobe.analysis.intent.verdicts import PortObservation
from netprobe.model.check import Expectation
from netprobe.model.intent import Cell, PortSpec, Protocol
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import Reached
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PortVerdict, Transport, Verdict
from netprobe.probes import registry
from netprobe.probes.drops import DropHop, DropLocation, suspects_of, write_drops
from netprobe.probes.ports import MAX_PAIRS, port_targets_of, write_values
from netprobe.wire.messages import CheckAnswer, CheckQuestion, Declined, OutcomeDetail, encode_question

ME, YOU = AgentId.parse("a/w1/pod"), AgentId.parse("b/w1/pod")
ECHO, AGENT = PortSpec(Protocol.ICMP), PortSpec(Protocol.UDP, 9771)
WEB = PortSpec(Protocol.TCP, 443)


def cell(door: PortSpec, *, source: AgentId = ME, address: str = "10.0.0.1") -> Cell:
    return Cell(source, str(YOU), address, door, Expectation.ALLOW, "r")


def answer(values: tuple[str, ...]) -> CheckAnswer:
    return CheckAnswer(ME, CheckId(1), (Reached(1),), (OutcomeDetail(values=values),))


def test_addresses_with_equal_doors_share_one_question() -> None:
    cells = [cell(door, address=f"10.0.0.{n}") for n in range(1, 6) for door in (ECHO, AGENT, WEB)]
    (ask,) = plan_asks(cells, agent_port=9771)[ME]
    assert ask.check.probe.options == (
        ("agents", "9771"), ("also", "10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5"), ("icmp", "1"), ("tcp", "443"),
    )  # fmt: skip
    assert set(ask.cells) == set(cells)


def test_addresses_with_doors_of_their_own_share_one_question_too() -> None:
    cells = [cell(WEB), cell(PortSpec(Protocol.SCTP, 9), address="10.0.0.2"), cell(ECHO, address="10.0.0.2")]
    (ask,) = plan_asks(cells, agent_port=9771)[ME]
    registry.validate(ask.check.probe)
    assert ask.check.probe.options == (
        ("also", "10.0.0.2"), ("icmp", ";1"), ("sctp", ";9"), ("tcp", "443;")
    )  # fmt: skip
    assert set(ask.cells) == set(cells)


def test_another_udp_port_is_no_agent_s() -> None:
    (ask,) = plan_asks([cell(PortSpec(Protocol.UDP, 53))], agent_port=9771)[ME]
    assert ask.check.probe.options == (("udp", "53"),)


def test_every_question_fits_its_limits_and_the_bus() -> None:
    cells = [
        cell(PortSpec(Protocol.TCP, port), address=f"10.0.{n}.1") for n in range(200) for port in range(1, 99)
    ]
    cells += [
        cell(PortSpec(Protocol.TCP, 20_000 + n % 7 + 2 * port), address=f"10.1.{n}.1")
        for n in range(200)
        for port in range(40)
    ]
    asks = plan_asks(cells, agent_port=9771)[ME]
    assert sum(len(ask.cells) for ask in asks) == len(cells)
    for ask in asks:
        registry.validate(ask.check.probe)
        encode_question(CheckQuestion(ask.check))
        assert sum(one.count for one in port_targets_of(ask.check)) == len(ask.cells) <= MAX_PAIRS


def test_no_probe_speaks_esp() -> None:
    esp = cell(PortSpec(Protocol.ESP))
    assert plan_asks([esp], agent_port=9771) == {}
    assert find_unaskable([esp])[esp].reason == Reason(ReasonCode.NO_PROBE, who="ESP")


def test_a_reply_decides_each_cell_by_itself() -> None:
    cells = [cell(ECHO), cell(WEB), cell(PortSpec(Protocol.TCP, 80))]
    (ask,) = plan_asks(cells, agent_port=9771)[ME]
    told = read_reply(
        ask,
        answer(write_values([
            PortVerdict("10.0.0.1", Transport.ICMP, 0, Verdict.OPEN),
            PortVerdict("10.0.0.1", Transport.TCP, 443, Verdict.FILTERED),
        ])),
    )  # fmt: skip
    assert [told[one].verdict for one in cells] == ["open", "filtered", "unknown"]
    assert told[cells[2]].reason == Reason(ReasonCode.NO_VERDICT)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [(str(YOU), "open"), ("b/w1/host", "open"), ("c/w9/pod", "unknown")],
)
def test_another_agent_at_the_address_opens_no_door(name: str, verdict: str) -> None:
    (ask,) = plan_asks([cell(AGENT)], agent_port=9771)[ME]
    told = read_reply(
        ask,
        answer(write_values([PortVerdict("10.0.0.1", Transport.UDP, 9771, Verdict.OPEN, answered_by=name)])),
    )
    assert told[cell(AGENT)].verdict == verdict


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Declined(ME, Prose("not allowed")), ReasonCode.DECLINED),
        (answer(("x 1",)), ReasonCode.UNREADABLE),
    ],
)
def test_a_bad_reply_leaves_its_cells_unseen(reply: CheckAnswer | Declined, code: ReasonCode) -> None:
    (ask,) = plan_asks([cell(WEB)], agent_port=9771)[ME]
    told = read_reply(ask, reply)[cell(WEB)]
    assert told.reason is not None
    assert (told.verdict, told.was_asked, told.reason.code) == (Verdict.UNKNOWN, False, code)


def test_a_walk_holds_all_drops_of_a_source_each_with_what_passes() -> None:
    drops = [cell(WEB), cell(PortSpec(Protocol.UDP, 53)), cell(WEB, address="10.0.0.2")]
    sights = dict.fromkeys(drops, PortObservation(Verdict.FILTERED, is_witnessed=True))
    sights[cell(ECHO)] = PortObservation(Verdict.OPEN)
    sights[cell(PortSpec(Protocol.TCP, 22), address="10.0.0.2")] = PortObservation(Verdict.CLOSED)
    (walk,) = plan_walks(sights, sights)[ME]
    registry.validate(walk.check.probe)
    one, other = suspects_of(walk.check)
    assert (one.ports, one.control) == (((Transport.TCP, 443), (Transport.UDP, 53)), (Transport.ICMP, 0))
    assert (other.ports, other.control) == (((Transport.TCP, 443),), (Transport.TCP, 22))


def test_a_drop_by_our_own_filter_needs_no_walk() -> None:
    own = {cell(WEB): PortObservation(Verdict.FILTERED, reason=Reason(ReasonCode.OWN_FILTER))}
    assert plan_walks(own, own) == {}


def test_a_place_is_kept_with_its_cell() -> None:
    sights = {cell(WEB): PortObservation(Verdict.FILTERED)}
    (walk,) = plan_walks(sights, sights)[ME]
    place = DropLocation("10.0.0.1", Transport.TCP, 443, DropHop(1, "10.9.0.1"), DropHop(2, "10.9.0.2"))
    placed = place_drops(walk, answer(write_drops([place])), sights)
    assert placed[cell(WEB)].place == place
    assert place_drops(walk, Declined(ME, Prose("no")), sights) == {}
    assert place_drops(walk, answer(("x 1",)), sights) == {}
