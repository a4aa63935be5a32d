"""``ports``: many doors in one question, its facts and its refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError, RemoteFormatError
from netprobe.model.check import Probe
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict
from netprobe.probes.ports import ports_of, read_facts, validate, write_facts, write_ports

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
def test_facts_and_back_is_identity(verdicts: frozenset[PortVerdict]) -> None:
    assert frozenset(read_facts(write_facts(verdicts))) == verdicts


def test_a_reason_of_several_words_survives() -> None:
    one = PortVerdict("10.0.0.1", Transport.UDP, 5, Verdict.UNKNOWN, reason="nothing on this host answered")
    assert list(read_facts(write_facts([one]))) == [one]


@given(st.frozensets(st.integers(1, 65_535), min_size=1, max_size=50))
def test_ports_and_back_is_identity(ports: frozenset[int]) -> None:
    probe = Probe("ports", options=(("tcp", write_ports(ports)),))
    assert frozenset(ports_of(probe, Transport.TCP)) == ports


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
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(InputError):
        validate(Probe("ports", options=tuple(sorted(options.items()))))


@pytest.mark.parametrize(
    "name", ["", "10.0.0.1 tcp", "10.0.0.1 esp open", "a tcp rejected", "a tcp rejected b c d"]
)
def test_foreign_facts_are_one_error(name: str) -> None:
    with pytest.raises(RemoteFormatError):
        list(read_facts([(name, "80")]))
