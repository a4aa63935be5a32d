"""The registry of pods, and how refusals are logged."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from netprobe.bus.callout import Caller
from netprobe.bus.tokens import Bearer, RefusalReason, TokenRefusal
from netprobe.collector.admission import UNCHECKED_NS, Admission
from netprobe.collector.bus_auth import BusAuth
from netprobe.model.names import ClusterName, NodeName
from tests.unit.bus.test_tokens import AGENT, CLUSTERS, KEYS, NOW_NS, signed

PROD, W1 = ClusterName("prod"), NodeName("w1")
CALLER = Caller(AGENT, signed(exp=NOW_NS // 10**9 + 3_600), "192.0.2.7")


def reason(verdict: Bearer | TokenRefusal) -> RefusalReason | None:
    return verdict.reason if isinstance(verdict, TokenRefusal) else None


def test_a_pod_that_the_watch_knows_comes_in_until_its_token_ends() -> None:
    gate = Admission(CLUSTERS)
    gate.know_pods(PROD, {"pod-uid": W1}, vouched=True)
    verdict = gate.judge(CALLER, now_ns=NOW_NS)
    assert isinstance(verdict, Bearer)
    assert verdict.expires_ns == NOW_NS + 3_600 * 10**9
    assert (gate.admitted, gate.unchecked) == (1, 0)


def test_a_pod_that_is_gone_does_not_come_in_again_even_while_the_api_is_away() -> None:
    gate = Admission(CLUSTERS)
    gate.know_pods(PROD, {"pod-uid": W1}, vouched=True)
    gate.know_pods(PROD, {}, vouched=True)
    assert reason(gate.judge(CALLER, now_ns=NOW_NS)) is RefusalReason.POD_GONE
    gate.know_pods(PROD, {}, vouched=False)
    assert reason(gate.judge(CALLER, now_ns=NOW_NS)) is RefusalReason.POD_GONE


def test_a_pod_on_another_node_than_its_token_says_is_refused() -> None:
    gate = Admission(CLUSTERS)
    gate.know_pods(PROD, {"pod-uid": NodeName("w9")}, vouched=True)
    assert reason(gate.judge(CALLER, now_ns=NOW_NS)) is RefusalReason.WRONG_NODE


def test_where_nobody_can_vouch_one_comes_in_for_a_few_minutes() -> None:
    gate = Admission(CLUSTERS)
    verdict = gate.judge(CALLER, now_ns=NOW_NS)
    assert isinstance(verdict, Bearer)
    assert verdict.expires_ns == NOW_NS + UNCHECKED_NS
    assert (gate.admitted, gate.unchecked) == (1, 1)


def test_a_cluster_that_is_trusted_no_more_is_unknown() -> None:
    gate = Admission(CLUSTERS)
    gate.trust(())
    assert reason(gate.judge(CALLER, now_ns=NOW_NS)) is RefusalReason.UNKNOWN_ISSUER


def test_an_unknown_key_says_whose_keys_to_ask_for() -> None:
    gate = Admission(CLUSTERS)
    gate.judge(Caller(AGENT, signed(kid="new"), ""), now_ns=NOW_NS)
    assert gate.stale == {PROD}


def test_a_refusal_is_counted_each_time_and_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    gate = Admission(CLUSTERS)
    gate.know_pods(PROD, {}, vouched=True)
    with caplog.at_level(logging.WARNING):
        for second in (0, 5, 61):
            gate.judge(CALLER, now_ns=NOW_NS + second * 10**9)
    assert gate.refused == {RefusalReason.POD_GONE: 3}
    told = "its pod netprobe/agent-x (UID pod-uid) was deleted, or is not known yet (pod-gone"
    assert [record.getMessage() for record in caplog.records] == [
        f"refused: prod/w1/pod from 192.0.2.7: {told})",
        f"refused: prod/w1/pod from 192.0.2.7: {told}; 1 more before)",
    ]


def test_strangers_of_many_names_and_addresses_write_one_line(caplog: pytest.LogCaptureFixture) -> None:
    gate = Admission(CLUSTERS)
    with caplog.at_level(logging.WARNING):
        for number in range(300):
            gate.judge(Caller(None, "", f"192.0.2.{number % 250}", f"stranger {number}"), now_ns=NOW_NS)
    assert gate.refused == {RefusalReason.NO_TOKEN: 300}
    assert len(caplog.records) == 1


def test_a_name_cannot_write_lines_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    agent = replace(AGENT, node=NodeName("\x1b[31m\nERROR forged line\u202e"))
    gate = Admission(CLUSTERS)
    with caplog.at_level(logging.WARNING):
        gate.judge(Caller(agent, "a.b.c", "192.0.2.7"), now_ns=NOW_NS)
        gate.judge(Caller(None, "", "192.0.2.7", "\x1b[31m\nERROR"), now_ns=NOW_NS)
    assert [record.getMessage().isprintable() for record in caplog.records] == [True, True]


def test_who_shows_a_token_that_its_cluster_has_not_signed_is_not_remembered_as_that_agent() -> None:
    gate = Admission(CLUSTERS)
    for token in ("a.b.c", signed(key=KEYS["dev"], kid="key-of-prod"), signed("dev"), signed(kid="new")):
        gate.judge(Caller(AGENT, token, "192.0.2.9"), now_ns=NOW_NS)
    assert gate.find_refused({AGENT}, now_ns=NOW_NS) == {}
    gate.judge(Caller(AGENT, signed(exp=NOW_NS // 10**9 - 1), ""), now_ns=NOW_NS)
    assert gate.find_refused({AGENT}, now_ns=NOW_NS) == {AGENT: "expired: its token of prod expired 1 s ago"}


async def test_who_finds_no_room_is_counted() -> None:
    auth = BusAuth(Admission(CLUSTERS), None)
    auth.note_overload("192.0.2.9")
    assert auth.admission.refused == {RefusalReason.TOO_MANY: 1}


def test_who_was_turned_away_is_known_until_it_comes_in_or_has_not_come_for_a_minute() -> None:
    gate = Admission(CLUSTERS)
    gate.know_pods(PROD, {}, vouched=True)
    gate.judge(CALLER, now_ns=NOW_NS)
    told = "pod-gone: its pod netprobe/agent-x (UID pod-uid) was deleted, or is not known yet"
    assert gate.find_refused({AGENT}, now_ns=NOW_NS + 60 * 10**9) == {AGENT: told}
    assert gate.find_refused({AGENT}, now_ns=NOW_NS + 61 * 10**9) == {}
    assert gate.find_refused((), now_ns=NOW_NS) == {}
    gate.know_pods(PROD, {"pod-uid": W1}, vouched=True)
    gate.judge(CALLER, now_ns=NOW_NS)
    assert gate.find_refused({AGENT}, now_ns=NOW_NS) == {}
