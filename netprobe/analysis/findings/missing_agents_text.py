"""Describes agents whose pod runs and that send no reports, in sentences. Pure: nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from netprobe.analysis.intervals.observation import IntervalObservation
from netprobe.analysis.plan.index import Aspect, CheckFacts, PlanIndex
from netprobe.model.expected_agents import AgentPod
from netprobe.model.finding import Evidence
from netprobe.model.prose import Prose

_SLACK_NS = 60_000_000_000
"""How much later than its start we notice a pod without saying so."""
_MOST = 3


@dataclass(frozen=True, slots=True)
class MissingAgent:
    """One agent that does not report. Times are wall time."""

    pod: AgentPod
    noticed_ns: int
    """When we first heard that it runs."""
    spoke_ns: int | None
    """Until when the last report speaks of the process that runs now; None where it never reported."""
    refused: str = ""
    """Why it was not let in."""


def describe(late: Sequence[MissingAgent]) -> str:
    """Who is late since when: the beginning of a sentence."""
    one, is_one = late[0], len(late) == 1
    names = " and ".join(str(each.pod.agent) for each in late)
    who = f"Agent {names}" if is_one else f"Agents {names}"
    if len(late) > _MOST:
        who = f"{len(late)} agents, first {one.pod.agent},"
    if one.refused:
        return f"{who} asks to be let in ({one.refused})"
    if one.pod.waits:
        return f"{who} does not report ({one.pod.waits})"
    said = "runs" if is_one else "run"
    start_ns = min((each.pod.since_ns for each in late if each.pod.since_ns is not None), default=None)
    since = f" since {_at(start_ns)}" if start_ns is not None else ""
    return f"{who} {said}{since} {_miss(late, start_ns)}"


def _miss(late: Sequence[MissingAgent], start_ns: int | None) -> str:
    """What is missing of them, no further back than we looked."""
    is_one = len(late) == 1
    spoke = [each.spoke_ns for each in late if each.spoke_ns is not None]
    if len(spoke) == len(late):
        return f"and {'has' if is_one else 'have'} not reported since {_at(max(spoke))}"
    noticed_ns = min(each.noticed_ns for each in late)
    if start_ns is not None and noticed_ns <= start_ns + _SLACK_NS:
        return f"and {'has' if is_one else 'have'} never come to the bus"
    has = "has" if is_one else "have"
    return f"and {has} not come to the bus since {_at(noticed_ns)}, when we began to look"


def find_evidence(
    late: Sequence[MissingAgent], index: PlanIndex, observation: IntervalObservation | None
) -> tuple[tuple[Evidence, ...], tuple[Evidence, ...]]:
    """What speaks for it and what against it: their pods, and what their peers hear of them."""
    pods = [each.pod for each in late]
    ready = [pod for pod in pods if pod.is_ready]
    named = ", ".join(f"{pod.namespace}/{pod.name}" for pod in pods[:_MOST])
    more = f" and {len(pods) - _MOST} more" if len(pods) > _MOST else ""
    told = [Evidence(Prose(f"called running by its API: {named}{more}"))]
    if len(ready) < len(pods):
        told.append(Evidence(Prose(f"{len(pods) - len(ready)} of {len(pods)} fail their readiness probe: "
                             "by their own word no report of theirs is taken")))  # fmt: skip
    against = [Evidence(Prose(f"{len(ready)} of {len(pods)} pass their readiness probe: a report was taken"))]
    told += _hear_peers(late, index, observation)
    return tuple(told), tuple(against) if ready else ()


def _hear_peers(
    late: Iterable[MissingAgent], index: PlanIndex, observation: IntervalObservation | None
) -> Iterator[Evidence]:
    """Whether others reach them, which tells a node that is cut off from one that only misses the bus."""
    towards = [check for each in late for check in index.to_agent.get(each.pod.agent, ())]
    asked = [check for check in towards if observation is not None and check.number in observation.seen]
    if observation is None or not asked:
        yield Evidence(
            Prose("no agent probes their addresses now: whether they can be reached is not measured")
        )
        return
    good = [check for check in asked if observation.seen[check.number].reached]
    own = [check for check in good if check.aspect in {Aspect.UDP, Aspect.V6}]
    silent = [c for c in asked if c.aspect in {Aspect.UDP, Aspect.V6} and c not in own]
    if own:
        yield _counted("are answered by the agent itself: only its reports are missing", own, index)
    elif good:
        yield _counted("to its address are answered: node and pod are reachable", good, index)
        if silent:
            yield _counted("that only an agent with a plan answers are not", silent, index)
    else:
        yield _counted("to its address are not answered, by ping or otherwise", asked, index)


def _counted(what: str, checks: Sequence[CheckFacts], index: PlanIndex) -> Evidence:
    return Evidence(Prose(f"{len(checks)} checks {what}"), index.ids([check.number for check in checks]))


def _at(wall_ns: int) -> str:
    """A moment for people, with its day: a finding may be read long after."""
    return f"{datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M} UTC"
