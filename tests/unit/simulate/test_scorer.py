"""The score forgives nothing."""

from __future__ import annotations

from dataclasses import replace

from netprobe.model.component import Component, dns, tunnel
from netprobe.model.finding import Cause, Finding
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose
from netprobe.simulate.scorer import Scorer

THERE = tunnel(ClusterName("prod"), ClusterName("dev"))
BACK = tunnel(ClusterName("dev"), ClusterName("prod"))
LABEL = GroundTruth(Cause.TUNNEL_DOWN, (THERE, BACK))


def finding(*components: Component, cause: Cause = Cause.TUNNEL_DOWN) -> Finding:
    name = f"{cause} {components}"
    return Finding(id=name, components=components, cause=cause, confidence=0.9, summary=Prose(name))


def test_a_right_finding_is_timed_from_injection_to_its_first_reading() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    assert not scorer.read((), at_ns=7)
    assert scorer.read((finding(BACK, THERE),), at_ns=9)
    assert scorer.read((finding(BACK, THERE),), at_ns=11)
    verdict = scorer.conclude("tunnel-down")
    assert (verdict.named_right, verdict.after_ns) == (True, 4)
    assert not scorer.false_findings


def test_half_a_tunnel_is_not_the_tunnel() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    assert not scorer.read((finding(THERE),), at_ns=9)
    assert not scorer.conclude("tunnel-down").named_right
    assert len(scorer.false_findings) == 1


def test_the_right_part_with_the_wrong_cause_is_wrong() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    assert not scorer.read((finding(THERE, BACK, cause=Cause.TUNNEL_LOSSY),), at_ns=9)


def test_a_right_finding_may_outlast_its_fault_but_a_new_one_may_not_come() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    scorer.read((finding(THERE, BACK),), at_ns=9)
    scorer.conclude("tunnel-down")
    scorer.read((finding(THERE, BACK),), at_ns=12)
    assert not scorer.false_findings
    scorer.read((finding(THERE),), at_ns=13)
    assert len(scorer.false_findings) == 1


def test_any_finding_of_a_healthy_fleet_is_false_and_counts_once() -> None:
    scorer = Scorer()
    scorer.read((finding(THERE, BACK),), at_ns=5)
    scorer.read((finding(THERE, BACK),), at_ns=6)
    assert len(scorer.false_findings) == 1


def test_a_fault_that_nobody_names_has_no_time() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    assert scorer.conclude("tunnel-down").after_ns is None


NAMES = GroundTruth(Cause.DNS_DOWN, (dns(ClusterName("prod")),))


def test_of_two_faults_at_once_each_needs_a_finding_of_its_own() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    scorer.inject("dns-down", NAMES, at_ns=6)
    assert not scorer.read((finding(THERE, BACK),), at_ns=9)
    assert scorer.read((finding(THERE, BACK), finding(*NAMES.components, cause=NAMES.cause)), at_ns=11)
    assert [scorer.conclude(name).after_ns for name in ("tunnel-down", "dns-down")] == [4, 5]
    assert not scorer.false_findings


def test_what_names_one_fault_right_is_not_held_against_the_other() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    scorer.inject("dns-down", NAMES, at_ns=6)
    scorer.read((finding(THERE, BACK),), at_ns=9)
    missed = scorer.conclude("dns-down")
    assert (missed.named_right, missed.finding) == (False, None)
    assert not scorer.false_findings


def test_a_fault_that_starts_later_is_not_named_before() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=10)
    scorer.read((finding(THERE, BACK),), at_ns=9)
    assert scorer.find_right("tunnel-down") is None
    assert len(scorer.false_findings) == 1


def test_a_finding_that_changes_to_something_wrong_is_false() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    right = finding(THERE, BACK)
    assert scorer.read((right,), at_ns=9)
    scorer.read((replace(right, cause=Cause.TUNNEL_LOSSY),), at_ns=10)
    assert list(scorer.false_findings) == [right.id]


def test_a_true_consequence_is_not_false_and_does_not_name_the_fault() -> None:
    scorer = Scorer()
    label = replace(LABEL, consequences=(NAMES,))
    scorer.inject("tunnel-down", label, at_ns=5)
    beside = finding(*NAMES.components, cause=NAMES.cause)
    assert not scorer.read((beside,), at_ns=9)
    assert scorer.find_right("tunnel-down") is None
    scorer.conclude("tunnel-down")
    scorer.read((beside,), at_ns=11)
    assert not scorer.false_findings


def test_a_consequence_may_come_while_the_fault_heals_and_not_after_the_next_one() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", replace(LABEL, consequences=(NAMES,)), at_ns=5)
    scorer.conclude("tunnel-down")
    late = finding(*NAMES.components, cause=NAMES.cause)
    scorer.read((late,), at_ns=11)
    assert not scorer.false_findings
    scorer.inject("other", LABEL, at_ns=12)
    scorer.read((late,), at_ns=13)
    assert list(scorer.false_findings) == [late.id]


def test_a_wrong_finding_is_kept_as_it_was_most_certain() -> None:
    scorer = Scorer()
    scorer.inject("tunnel-down", LABEL, at_ns=5)
    wrong = finding(THERE)
    for confidence in (0.4, 0.8, 0.6):
        scorer.read((replace(wrong, confidence=confidence),), at_ns=9)
    assert [read.finding.confidence for read in scorer.find_confident(above=0.5)] == [0.8]
    assert scorer.find_confident(above=0.8) == ()
