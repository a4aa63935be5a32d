"""``ports``: many ports in one question, its facts and its refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Check, Layer, Probe, Target, TargetKind
from netprobe.model.names import AgentId, CheckId
from netprobe.model.prose import Prose
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict
from netprobe.probes import registry
from netprobe.probes.ports import (
    PortTargets,
    port_targets_of,
    read_verdicts,
    validate,
    write_facts,
    write_port_targets,
    write_values,
)

VERDICTS = st.builds(
    PortVerdict, st.sampled_from(["10.0.0.1", "fd00::1"]), st.sampled_from(PORTED), st.integers(1, 65_535),
    st.sampled_from([Verdict.OPEN, Verdict.CLOSED, Verdict.FILTERED]),
) | st.builds(
    PortVerdict, st.just("10.0.0.3"), st.just(Transport.ICMP), st.just(0),
    st.sampled_from([Verdict.OPEN, Verdict.FILTERED]),
) | st.builds(
    PortVerdict, st.just("10.0.0.2"), st.just(Transport.TCP), st.integers(1, 99), st.just(Verdict.REJECTED),
    st.just("10.9.9.9"), st.just(3), st.just(13),
)  # fmt: skip


@given(st.frozensets(VERDICTS, max_size=30))
def test_values_and_back_is_identity(verdicts: frozenset[PortVerdict]) -> None:
    assert frozenset(read_verdicts(write_values(verdicts))) == verdicts


@given(st.frozensets(VERDICTS, max_size=30))
def test_facts_for_a_build_without_values_and_back_is_identity(verdicts: frozenset[PortVerdict]) -> None:
    assert frozenset(read_verdicts((), write_facts(verdicts))) == verdicts


@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_survives_with_all_that_belongs_to_it(code: ReasonCode) -> None:
    why = Reason(code, "fd00::9", 1_200, Prose("no buffer space: 2 of 3"))
    one = PortVerdict("10.0.0.1", Transport.UDP, 5, Verdict.UNKNOWN, reason=why)
    bare = PortVerdict("10.0.0.1", Transport.UDP, 6, Verdict.UNKNOWN, reason=Reason(code))
    assert list(read_verdicts(write_values([one, bare]))) == [one, bare]


def test_a_code_of_a_newer_build_is_some_other_reason() -> None:
    (told,) = read_verdicts(["10.0.0.1 tcp unknown 80 never-heard-of 0 - in a word"])
    assert told.reason == Reason(ReasonCode.OTHER, detail=Prose("in a word"))


def test_an_agent_behind_a_port_keeps_its_name() -> None:
    one = PortVerdict("10.0.0.1", Transport.UDP, 9771, Verdict.OPEN, answered_by="a/w1/pod")
    assert list(read_verdicts(write_values([one]))) == [one]
    assert list(read_verdicts((), write_facts([one]))) == [one]


PORTS = st.frozensets(st.integers(1, 65_535), max_size=20).map(lambda ports: tuple(sorted(ports)))
DOORS = st.builds(
    lambda address, tcp, udp, sctp, agents, icmp: PortTargets(
        str(address), ((Transport.TCP, tcp), (Transport.UDP, udp), (Transport.SCTP, sctp)), agents, icmp
    ),
    st.ip_addresses(), PORTS, PORTS, PORTS, PORTS, st.booleans(),
).filter(lambda one: one.count > 0)  # fmt: skip


def check_of(doors: list[PortTargets]) -> Check:
    options = tuple(sorted((key, text) for key, text in write_port_targets(doors).items() if text))
    target = Target(TargetKind.OUTSIDE, doors[0].address, doors[0].address)
    return Check(
        CheckId(1), AgentId.parse("a/w1/pod"), target, Probe("ports", options=options), Layer.OUTSIDE
    )


@given(st.lists(DOORS, min_size=1, max_size=6))
def test_doors_and_back_is_identity(doors: list[PortTargets]) -> None:
    check = check_of(doors)
    registry.validate(check.probe)
    assert list(port_targets_of(check)) == doors


def test_what_is_said_once_is_asked_of_all() -> None:
    one, other = (PortTargets(address, ((Transport.TCP, (80, 81)),)) for address in ("10.0.0.1", "10.0.0.2"))
    check = check_of([one, other])
    assert check.probe.options == (("also", "10.0.0.2"), ("tcp", "80-81"))
    assert [each.of(Transport.TCP) for each in port_targets_of(check)] == [(80, 81), (80, 81)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tcp": "0"},
        {"tcp": "x"},
        {"tcp": "9-8"},
        {"tcp": "1-5000"},
        {"tcp": "1", "also": "x"},
        {"icmp": "2"},
        {"agents": "0"},
        {"tcp": "1;2;3", "also": "10.0.0.2"},
        {"tcp": "1", "tries": "0"},
        {"tcp": "1", "tries": "x"},
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(InputError):
        validate(Probe("ports", options=tuple(sorted(options.items()))))


@pytest.mark.parametrize(
    "name", ["", "10.0.0.1 tcp", "10.0.0.1 esp open", "a tcp rejected", "a tcp rejected b c d"]
)
def test_foreign_answers_are_one_error(name: str) -> None:
    with pytest.raises(RemoteFormatError):
        list(read_verdicts((), [(name, Prose("80"))]))
    address, transport, verdict, *rest = (*name.split(" ", 3), "", "")
    with pytest.raises(RemoteFormatError):
        list(read_verdicts([" ".join((address, transport, verdict, "80", *rest))]))
