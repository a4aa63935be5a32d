"""One agent that lies about what it measured, while all others are honest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from msgspec import structs

from netprobe.analysis.analyst import Analyst, Conclusion
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.names import AgentId
from netprobe.model.outcome import OutcomeKind
from netprobe.model.window import Histogram, Report, Window
from netprobe.simulate.world import World
from tests.scenarios.player import BEGIN_S, SECOND, T0, default_fleet

Lie = Callable[[Window, CheckFacts], Window]


def _lost(window: Window, share: float = 1.0) -> Window:
    """So many of the answers never came, on the way back."""
    lost = round(window.answered * share)
    if not lost:
        return window
    left = window.answered - lost
    counts = {OutcomeKind.REACHED: left, OutcomeKind.TIMED_OUT: window.sent - left}
    outcomes = tuple((kind, count) for kind, count in counts.items() if count)
    return structs.replace(
        window, answered=left, outcomes=outcomes, lost_out=0, lost_back=lost,
        rtt=Histogram.of([500_000] * left),
    )  # fmt: skip


def _refused(window: Window) -> Window:
    return structs.replace(
        window, answered=0, outcomes=((OutcomeKind.REFUSED, window.sent),), rtt=Histogram.of([])
    )


def _astray(window: Window) -> Window:
    """Another agent answered."""
    return structs.replace(
        window, outcomes=((OutcomeKind.WRONG_PEER, window.sent),), answered_by="dev-on-premise/w2/pod"
    )


def _translated(window: Window) -> Window:
    return structs.replace(window, observed_source="203.0.113.7")


def _slow(window: Window) -> Window:
    return structs.replace(window, rtt=Histogram.of([400_000_000] * window.answered))


def _leaves(check: CheckFacts) -> bool:
    return check.asked is not None and check.asked.cluster != check.source.cluster


def _first(check: CheckFacts) -> bool:
    return _leaves(check) and check.aspect is Aspect.UDP and str(check.asked) == "dev-on-premise/w1/pod"


def _when(tells: Callable[[CheckFacts], bool], lie: Callable[[Window], Window]) -> Lie:
    return lambda window, check: lie(window) if tells(check) else window


LIES: Mapping[str, Lie] = {
    "another answered one check": _when(_first, _astray),
    "another answers from other clusters": _when(_leaves, _astray),
    "another answers everywhere": _when(lambda check: check.asked is not None, _astray),
    "one check arrives translated": _when(_first, _translated),
    "all to other clusters arrive translated": _when(_leaves, _translated),
    "all arrive translated": _when(lambda check: check.asked is not None, _translated),
    "one check lost": _when(_first, _lost),
    "all to other clusters lost": _when(_leaves, _lost),
    "all to one other cluster lost": _when(
        lambda check: check.asked is not None and check.asked.cluster == "dev-on-premise", _lost
    ),
    "all lost": _when(lambda check: True, _lost),
    "all to its own cluster lost": _when(lambda check: check.asked is not None and not _leaves(check), _lost),
    "half lost": _when(lambda check: True, lambda window: _lost(window, 0.5)),
    "a third to other clusters lost": _when(_leaves, lambda window: _lost(window, 0.34)),
    "large ones lost": _when(lambda check: check.aspect is Aspect.LARGE, _lost),
    "IPv6 lost": _when(lambda check: check.aspect is Aspect.V6, _lost),
    "services and names lost": _when(lambda check: check.asked is None, _lost),
    "all to other clusters refused": _when(_leaves, _refused),
    "all to other clusters slow": _when(_leaves, _slow),
}


def hear(liar: AgentId, lie: Lie, *, seed: int, intervals: int = 30) -> Iterator[Conclusion]:
    """What the analyst says each second, from the lie's beginning on, while the network is healthy."""
    inventory, fleet = default_fleet()
    index, analyst = PlanIndex(inventory, fleet), Analyst(inventory, fleet)
    next_ns = T0
    for delivery in World(index, (), seed=seed, start_ns=T0).play(start_ns=T0, intervals=intervals):
        report = delivery.report
        assert isinstance(report, Report)
        if report.agent == liar and report.start_ns >= T0 + BEGIN_S * SECOND:
            report = _twist(report, lie, index)
        while next_ns <= delivery.at_ns:
            yield analyst.conclude(now_ns=next_ns)
            next_ns += SECOND
        analyst.observe(report, now_ns=delivery.at_ns)
    yield analyst.conclude(now_ns=next_ns + SECOND)


def _twist(report: Report, lie: Lie, index: PlanIndex) -> Report:
    return replace(
        report,
        windows=tuple(
            lie(window, index.by_id[window.check]) if window.sent else window for window in report.windows
        ),
    )
