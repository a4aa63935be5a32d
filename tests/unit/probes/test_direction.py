"""Losses by direction, checked against a simulated path."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netprobe.probes.direction import Anchor, DirectionalLoss, split_losses

FATES = st.lists(st.sampled_from(["answered", "lost out", "lost back", "refused"]), max_size=60)


def travel(fates: list[str]) -> tuple[list[Anchor], list[int], list[int]]:
    """Send one request per fate; return the anchors, the lost and the refused sequence numbers."""
    anchors, lost, refused, counter = [], [], [], 0
    for sequence, fate in enumerate(fates, start=1):
        counter += fate in {"answered", "lost back"}
        if fate == "answered":
            anchors.append(Anchor(sequence, counter))
        elif fate == "refused":
            refused.append(sequence)
        else:
            lost.append(sequence)
    return anchors, lost, refused


@given(FATES)
def test_between_two_answers_every_loss_finds_its_direction(fates: list[str]) -> None:
    anchors, lost, refused = travel(["answered", *fates, "answered"])
    told = split_losses(anchors, lost=lost, refused=refused)
    assert told == DirectionalLoss(out=fates.count("lost out"), back=fates.count("lost back"))


@given(before=FATES, after=FATES)
def test_a_window_never_gets_more_than_it_lost(before: list[str], after: list[str]) -> None:
    anchors, lost, refused = travel(["answered", *before, *after, "answered"])
    here = [number for number in lost if number <= len(before) + 1]
    told = split_losses(anchors, lost=here, refused=refused)
    assert told.out + told.back <= len(here)


@given(FATES)
def test_losses_after_the_last_answer_are_not_attributed(fates: list[str]) -> None:
    lost = [number + 2 for number, fate in enumerate(fates) if fate != "answered"]
    assert split_losses([Anchor(1, 1)], lost=lost) == DirectionalLoss()


def test_a_responder_that_began_anew_says_nothing() -> None:
    assert split_losses([Anchor(10, 10), Anchor(14, 1)], lost=[11, 12, 13]) == DirectionalLoss()
