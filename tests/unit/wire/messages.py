"""Hypothesis strategies for bus messages."""

from __future__ import annotations

from hypothesis import strategies as st

from netprobe.model.check import Check, Expectation, Layer, Plan, Probe, Target, TargetKind
from netprobe.model.names import AgentId, CheckId, ClusterName, NodeName, Plane
from netprobe.model.outcome import (
    AppFailed,
    NotMeasured,
    NotResolved,
    Outcome,
    OutcomeKind,
    Reached,
    Refused,
    Rejected,
    TimedOut,
    TlsFailed,
    TooBig,
    WrongPeer,
)
from netprobe.model.prose import Prose
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window

LENGTH_NS = 1_000_000_000

naturals = st.integers(0, 2**63 - 1)
counts = st.integers(0, 1000)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
words = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=12)
agents = st.builds(AgentId, words.map(ClusterName), words.map(NodeName), st.sampled_from(Plane))
check_ids = naturals.map(CheckId)
starts = st.integers(0, 2_000_000_000).map(lambda second: second * LENGTH_NS)


@st.composite
def windows(draw: st.DrawFn, start_ns: int) -> Window:
    kinds = draw(st.lists(st.sampled_from(OutcomeKind), max_size=4, unique=True))
    outcomes = tuple((kind, draw(counts)) for kind in kinds)
    silent = dict(outcomes).get(OutcomeKind.TIMED_OUT, 0)
    lost_out = draw(st.integers(0, silent))
    reached = dict(outcomes).get(OutcomeKind.REACHED, 0)
    return Window(
        check=draw(check_ids),
        start_ns=draw(st.sampled_from([start_ns, start_ns + LENGTH_NS])),
        length_ns=LENGTH_NS,
        sent=sum(count for _, count in outcomes),
        answered=reached,
        outcomes=outcomes,
        lost_out=lost_out,
        lost_back=draw(st.integers(0, silent - lost_out)),
        rtt=Histogram.of(draw(st.lists(st.integers(1, 10**10), max_size=min(reached, 5)))),
        observed_source=draw(texts),
        answered_by=draw(texts),
        detail=Prose(draw(texts)),
        rejection=draw(st.none() | st.builds(Rejected, texts, st.integers(0, 255), st.integers(0, 255))),
        repeated=draw(counts),
    )


@st.composite
def reports(draw: st.DrawFn) -> Report:
    agent = draw(agents)
    start_ns = draw(starts)
    return Report(
        agent=agent,
        epoch=draw(naturals),
        sequence=draw(naturals),
        boot=draw(words),
        start_ns=start_ns,
        length_ns=LENGTH_NS,
        windows=tuple(draw(st.lists(windows(start_ns), max_size=4))),
        heard=tuple(draw(st.lists(st.builds(ReceivedCount, check_ids, starts, counts), max_size=3))),
        health=AgentHealth(
            agent,
            draw(naturals),
            draw(naturals),
            draw(naturals),
            capabilities=tuple(draw(st.lists(texts, max_size=2))),
        ),
    )


targets = st.builds(Target, st.sampled_from(TargetKind), texts, texts)
probes = st.builds(
    Probe,
    kind=words,
    port=st.integers(0, 65_535),
    size=st.integers(0, 65_535),
    name=texts,
    timeout_ns=st.integers(1, 10**12),
    options=st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
)


def checks(source: AgentId) -> st.SearchStrategy[Check]:
    return st.builds(
        Check,
        id=check_ids,
        source=st.just(source),
        target=targets,
        probe=probes,
        layer=st.sampled_from(Layer),
        count=st.integers(1, 100),
        expect=st.none() | st.sampled_from(Expectation),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    agent = draw(agents)
    return Plan(
        agent=agent,
        epoch=draw(naturals),
        checks=tuple(draw(st.lists(checks(agent), max_size=3))),
        interval_ns=draw(st.integers(1, 10**12)),
        cookie_key=draw(st.binary(max_size=32)),
        peers=tuple(draw(st.lists(st.tuples(agents, st.lists(texts, max_size=2).map(tuple)), max_size=2))),
    )


outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Reached, naturals),
    st.builds(Refused, naturals),
    st.builds(Rejected, texts, st.integers(0, 255), st.integers(0, 255)),
    st.builds(TimedOut, naturals),
    st.builds(TooBig, naturals, texts),
    st.builds(NotResolved, texts, texts),
    st.builds(TlsFailed, texts),
    st.builds(AppFailed, texts),
    st.builds(WrongPeer, texts, texts, naturals),
    st.builds(NotMeasured, texts),
)
