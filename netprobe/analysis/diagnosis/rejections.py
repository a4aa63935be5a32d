"""ICMP errors that came back for failing checks: who sent them, and what they mean for the diagnosis.

Rule: read from the typed rejection of each window, never from its words. A window of a build that has none
counts as silent about the sender.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from netprobe.analysis.diagnosis.symptom import Answer
from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.finding import Evidence
from netprobe.model.outcome import OutcomeKind, Rejected
from netprobe.model.prose import Prose
from netprobe.probes.observation import LOCAL
from netprobe.probes.rejection import Meaning, meaning_of, name_rejection

_ANSWERS = {Meaning.EXPIRED: Answer.EXPIRED, Meaning.PROHIBITED: Answer.PROHIBITED}
_MOST_SENDERS = 3


def find_answer(observation: IntervalObservation, core: Iterable[int]) -> Answer:
    """What came back for most of the probes of the checks *core*."""
    heard: Counter[Answer] = Counter()
    for number in core:
        for kind, count in observation.seen[number].window.outcomes if number in observation.seen else ():
            if kind is OutcomeKind.REJECTED:
                heard[_answer_of(observation.seen[number].window.rejection)] += count
            elif kind is OutcomeKind.REFUSED:
                heard[Answer.REFUSED] += count
            elif kind is OutcomeKind.TIMED_OUT:
                heard[Answer.SILENT] += count
    return heard.most_common(1)[0][0] if heard else Answer.SILENT


def _answer_of(rejection: Rejected | None) -> Answer:
    return Answer.REJECTED if rejection is None else _ANSWERS.get(meaning_of(rejection), Answer.REJECTED)


def find_rejections(observation: IntervalObservation, numbers: Iterable[int]) -> dict[Rejected, set[int]]:
    """The rejected checks among *numbers* by the error that came back, the most frequent first."""
    found: dict[Rejected, set[int]] = {}
    for number in numbers:
        if number in observation.seen and (told := observation.seen[number].window.rejection) is not None:
            found.setdefault(told, set()).add(number)
    return dict(sorted(found.items(), key=lambda one: (-len(one[1]), one[0].sender)))


def name_senders(index: PlanIndex, rejections: Iterable[Rejected]) -> str:
    """Who sent them: nodes where their addresses are known, at most three."""
    names = list(dict.fromkeys(_name(index, one.sender) for one in rejections))
    more = len(names) - _MOST_SENDERS
    named = names[:_MOST_SENDERS] + ([f"{more} more"] if more > 0 else [])
    return f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else "".join(named)


def _name(index: PlanIndex, sender: str) -> str:
    if sender == LOCAL:
        return "the asking host itself"
    node = index.node_at.get(sender)
    return f"{node} ({sender})" if node else sender


def describe_rejections(index: PlanIndex, rejections: dict[Rejected, set[int]]) -> Iterator[Evidence]:
    """One sentence per type and code, with the senders and the checks."""
    told: Counter[str] = Counter()
    senders: dict[str, list[Rejected]] = {}
    checks: dict[str, set[int]] = {}
    for rejection, numbers in rejections.items():
        name = name_rejection(rejection)
        told[name] += len(numbers)
        senders.setdefault(name, []).append(rejection)
        checks.setdefault(name, set()).update(numbers)
    for name, count in told.most_common():
        who = name_senders(index, senders[name])
        yield Evidence(Prose(f"{count} checks are rejected by {who}: {name}"), index.ids(checks[name]))
