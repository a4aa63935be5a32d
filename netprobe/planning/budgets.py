"""Keeps a plan within its budgets: variants take turns, base checks are never dropped.

Rule: all figures are probes per interval. An agent and a cluster are charged for what they send; one
direction of a tunnel or link for what crosses it, as question or as answer. Only variants (TCP, IPv6, large
packets) are left out, because coverage and localisation depend on the base checks.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from netprobe.errors import InputError
from netprobe.model.component import ComponentKind
from netprobe.planning.checks import PlannedCheck
from netprobe.planning.policy import PlanPolicy

_CIRCLE = 1 << 64
_GOLDEN = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio; its multiples are spread evenly over the circle."""

Account = tuple[str, str]
"""A budget to charge: ``agent``, ``cluster`` or ``tunnel``, and its name."""


def keep_within(
    questions: Sequence[PlannedCheck], policy: PlanPolicy, *, epoch: int, seed: int
) -> tuple[list[PlannedCheck], int]:
    """The checks that fit, in their order, and the number of variants that do not.

    Variants are placed on a circle by their identity; each epoch starts at another point and takes what fits,
    so that each variant gets its turn. Raises `InputError` if the base checks alone exceed a budget.
    """
    limits = {
        "agent": policy.agent_budget,
        "cluster": policy.cluster_budget,
        "tunnel": policy.tunnel_budget,
    }
    if all(limit is None for limit in limits.values()):
        return list(questions), 0
    charged: Counter[Account] = Counter()
    for question in questions:
        if not question.is_variant:
            _charge(charged, question)
    _refuse_excess(charged, limits)
    kept = set()
    for question in _in_turns(questions, epoch=epoch, seed=seed):
        if _fits(charged, question, limits):
            _charge(charged, question)
            kept.add(question.check.id)
    fitting = [question for question in questions if not question.is_variant or question.check.id in kept]
    return fitting, len(questions) - len(fitting)


def _accounts(question: PlannedCheck) -> Iterable[Account]:
    crossed = {*question.legs.crossed}
    source = question.check.source
    return (
        ("agent", str(source)),
        ("cluster", source.cluster),
        *(("tunnel", str(part)) for part in crossed if part.kind is ComponentKind.TUNNEL),
    )


def _charge(charged: Counter[Account], question: PlannedCheck) -> None:
    for account in _accounts(question):
        charged[account] += question.check.count


def _fits(charged: Counter[Account], question: PlannedCheck, limits: dict[str, int | None]) -> bool:
    for account in _accounts(question):
        limit = limits[account[0]]
        if limit is not None and charged[account] + question.check.count > limit:
            return False
    return True


def _refuse_excess(charged: Counter[Account], limits: dict[str, int | None]) -> None:
    """Raise an error that names the budget with the largest excess."""
    excess = [
        (number - limit, account, limit)
        for account, number in charged.items()
        if (limit := limits[account[0]]) is not None and number > limit
    ]
    if not excess:
        return
    over, (kind, name), limit = max(excess)
    where = name if kind == "tunnel" else f"{kind} {name}"
    raise InputError(
        f"the base checks need {limit + over} probes per interval, but the {kind} budget is {limit}"
        f" ({len(excess)} of {len(charged)} budgets exceeded)",
        where=where,
    )


def _in_turns(questions: Sequence[PlannedCheck], *, epoch: int, seed: int) -> Iterator[PlannedCheck]:
    begin = epoch * _GOLDEN

    def place(question: PlannedCheck) -> int:
        digest = hashlib.blake2b(f"{seed} {question.check.id}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") - begin) % _CIRCLE

    yield from sorted((question for question in questions if question.is_variant), key=place)
