"""Agents that run and do not report: what is found of them, where, and when nothing may be found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.expected_agents import AgentPod, ExpectedAgents
from netprobe.model.finding import Cause, Finding
from netprobe.model.fleet import FleetPlan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, ClusterName, NodeId
from netprobe.model.window import Report
from netprobe.planning.fleet_plan import plan_fleet
from netprobe.simulate.effects import SimulatedFault
from netprobe.simulate.faults import make_fault
from netprobe.simulate.world import World
from tests.scenarios.default_topology import DEV, PROD, STAGING, build_inventory

SECOND = 1_000_000_000
INTERVAL_S = 10
BEGIN = 1_700_000_000 * SECOND
LOOK_NS = 2 * SECOND
LONG = 15
"""Intervals after which a late agent has been found."""
FLEET = build_inventory()
ALL = tuple(FLEET.iter_agents())
W2 = NodeId.parse(f"{PROD}/w2")
POD, HOST = (AgentId.parse(f"{W2}/{plane}") for plane in ("pod", "host"))


def pod(agent: AgentId, *, uid: str = "first", since_s: float = -3600, **more: object) -> AgentPod:
    since_ns = BEGIN + int(since_s * SECOND)
    made = AgentPod(f"{agent} {uid}", "netprobe", f"agent-{agent.node}-{uid}", agent, True, since_ns)
    return replace(made, **more)  # type: ignore[arg-type]


def muster(*others: AgentPod, without: Iterable[AgentId] = (), **more: object) -> ExpectedAgents:
    """All agents' pods as they were from the beginning, but for *others*."""
    pods = {agent: pod(agent, is_ready=True) for agent in ALL if agent not in set(without)}
    pods |= {one.agent: one for one in others}
    return replace(ExpectedAgents(tuple(pods.values()), home=PROD), **more)  # type: ignore[arg-type]


def plan(inventory: Inventory) -> FleetPlan:
    return plan_fleet(inventory, epoch=1, seed=1, interval_ns=INTERVAL_S * SECOND, cookie_key=b"key")


def without(agents: Collection[AgentId]) -> Inventory:
    return replace(FLEET, agents=frozenset(ALL) - set(agents))


def strike(kind: str, *, start_s: float, end_s: float = 1e6, **parameters: str) -> SimulatedFault:
    fault = make_fault(FLEET, kind, parameters)
    return replace(fault, start_ns=BEGIN + int(start_s * SECOND), end_ns=BEGIN + int(end_s * SECOND))


def planless(*agents: AgentId, start_s: float, end_s: float = 1e6) -> list[SimulatedFault]:
    """Processes without a plan: their kernels ping back and accept connections, but UDP is not answered."""
    return [strike("agent-frozen", agent=str(one), start_s=start_s, end_s=end_s) for one in agents]


@dataclass
class Story:
    """A fleet of three clusters, told interval by interval."""

    faults: list[SimulatedFault] = field(default_factory=list)
    now_ns: int = BEGIN
    said: list[tuple[Finding, ...]] = field(default_factory=list)
    """What was open at each look since the last `go_on`."""

    def __post_init__(self) -> None:
        self._play(FLEET, first=True)
        self.go_on(5, muster())
        assert self.found() == []

    def _play(self, inventory: Inventory, *, first: bool = False) -> None:
        fleet = plan(inventory)
        if first:
            self.analyst = Analyst(inventory, fleet)
        else:
            self.analyst.replan(inventory, fleet, now_ns=self.now_ns)
        agents = frozenset(each.agent for each in fleet.plans)
        self.world = World(
            PlanIndex(inventory, fleet), self.faults, seed=7, start_ns=BEGIN, boot=f"boot {self.now_ns}",
            running=agents,
        )  # fmt: skip

    def replan(self, inventory: Inventory) -> None:
        self._play(inventory)

    def go_on(self, intervals: int, expected: ExpectedAgents, *, silent: Iterable[AgentId] = ()) -> None:
        """So many intervals more, in which reports of the *silent* do not come."""
        mute, self.said = set(silent), []
        self.analyst.expect(expected)
        start_ns = self.now_ns
        for delivery in self.world.play(start_ns=start_ns, intervals=intervals):
            self._look_until(delivery.at_ns)
            assert isinstance(delivery.report, Report)
            if delivery.report.agent not in mute:
                self.analyst.observe(delivery.report, now_ns=delivery.at_ns)
        self._look_until(start_ns + intervals * INTERVAL_S * SECOND)
        self.now_ns = start_ns + intervals * INTERVAL_S * SECOND

    def _look_until(self, at_ns: int) -> None:
        while self.now_ns < at_ns:
            self.said.append(self.analyst.conclude(now_ns=self.now_ns).findings)
            self.now_ns += LOOK_NS

    @property
    def open(self) -> tuple[Finding, ...]:
        return self.said[-1]

    def found(self) -> list[str]:
        """Everything that was ever open since the last `go_on`."""
        return sorted({finding.id for each in self.said for finding in each})


def only(story: Story) -> Finding:
    (finding,) = story.open
    return finding


def texts(finding: Finding) -> str:
    return "; ".join(str(told.text) for told in finding.evidence_for)


# --- one node ---------------------------------------------------------------------------------------


def come_anew(*agents: AgentId) -> tuple[Story, ExpectedAgents]:
    """The pods of *agents* are deleted; new ones run, and their way to the bus is broken."""
    story = Story(planless(*agents, start_s=5 * INTERVAL_S))
    story.replan(without(agents))
    story.go_on(1, muster(without=agents))
    story.replan(FLEET)
    fresh = muster(*(pod(agent, uid="second", since_s=6 * INTERVAL_S) for agent in agents))
    return story, fresh


def test_a_new_pod_that_never_comes_is_found_with_its_node() -> None:
    story, fresh = come_anew(POD)
    story.go_on(5, fresh, silent=[POD])
    assert story.found() == []
    story.go_on(LONG, fresh, silent=[POD])
    finding = only(story)
    assert (finding.cause, str(finding.components[0])) == (Cause.AGENT_CUT_OFF, f"bus-way({POD})")
    assert str(finding.summary) == (
        f"Agent {POD} runs since 2023-11-14 22:14 UTC and has never come to the bus, while other agents of "
        f"its cluster do: nothing is measured from there. The suspect is the path from {POD} to the bus's "
        "Service."
    )
    assert "kube-proxy and DNS" in str(finding.next_step)
    assert "checks to its address are answered: node and pod are reachable" in texts(finding)
    assert "checks that only an agent with a plan answers are not" in texts(finding)
    assert "1 of 1 fail their readiness probe" in texts(finding)
    mine = {check.id for each in plan(FLEET).plans if each.agent == POD for check in each.checks}
    assert set(finding.affected) == mine


def test_it_ends_when_the_agent_comes() -> None:
    story, fresh = come_anew(POD)
    story.go_on(LONG, fresh, silent=[POD])
    story.faults.clear()
    story.replan(FLEET)
    story.go_on(5, fresh)
    assert story.open == ()
    past = story.analyst.conclude(now_ns=story.now_ns).past_findings
    assert [(one.cause, one.ended_ns is not None) for one in past] == [(Cause.AGENT_CUT_OFF, True)]


def test_two_agents_of_one_node_are_one_finding_of_the_node() -> None:
    story, fresh = come_anew(POD, HOST)
    story.go_on(LONG, fresh, silent=[POD, HOST])
    assert str(only(story).components[0]) == f"bus-way({W2})"
    assert {str(part) for part in only(story).hidden} == {f"agent({POD})", f"agent({HOST})"}


def test_one_that_stopped_and_still_answers_its_peers_only_misses_the_bus() -> None:
    story = Story()
    story.go_on(LONG, muster(), silent=[POD])
    assert "and has not reported since 2023-11-14 22:14 UTC" in str(only(story).summary)
    assert "are answered by the agent itself: only its reports are missing" in texts(only(story))
    assert [str(told.text) for told in only(story).evidence_against] == [
        "1 of 1 pass their readiness probe: a report was taken"
    ]


def test_a_container_that_was_restarted_and_never_came_is_no_sick_agent() -> None:
    """Packets alone call it sick; that its process is young tells better."""
    story = Story(planless(POD, start_s=5 * INTERVAL_S))
    fresh = muster(pod(POD, since_s=5 * INTERVAL_S + 1))
    story.go_on(LONG, fresh, silent=[POD])
    assert f"agent-sick:agent({POD})" in story.found()
    assert only(story).cause is Cause.AGENT_CUT_OFF


def test_one_that_hangs_stays_a_sick_agent() -> None:
    story = Story(planless(POD, start_s=5 * INTERVAL_S))
    story.go_on(LONG, muster(), silent=[POD])
    assert story.found() == [f"agent-sick:agent({POD})"]
    assert "called running, and does not report" in texts(only(story))


def test_a_node_that_is_not_ready_is_the_suspect_itself() -> None:
    story, fresh = come_anew(POD, HOST)
    story.go_on(LONG, replace(fresh, not_ready=frozenset({W2})), silent=[POD, HOST])
    assert str(only(story).components[0]) == f"bus-way({W2})"
    assert f"its API does not call {W2} ready: the suspect is the node itself" in str(only(story).summary)


def test_a_collector_that_began_later_claims_no_more_than_it_saw() -> None:
    story = Story()
    story.replan(without([POD]))
    story.go_on(1, muster(without=[POD]))
    story.replan(FLEET)
    story.go_on(LONG, muster(pod(POD, uid="older", since_s=-7200)), silent=[POD])
    assert "and has not come to the bus since 2023-11-14 22:14 UTC, when we began to look" in str(
        only(story).summary
    )


# --- what is known of it besides ------------------------------------------------------------------------


def excused(why: Callable[[ExpectedAgents], ExpectedAgents]) -> Finding:
    story, fresh = come_anew(POD)
    story.go_on(LONG, why(fresh), silent=[POD])
    return only(story)


def test_one_that_is_turned_away_has_a_way_to_the_bus() -> None:
    finding = excused(lambda told: replace(told, refused={POD: "expired: its token expired"}))
    assert str(finding.summary) == (
        f"Agent {POD} asks to be let in (expired: its token expired): the bus refuses it. "
        "Its path to the bus works, its credentials do not."
    )


def test_one_whose_container_does_not_run_is_sick() -> None:
    crashing = pod(POD, uid="second", since_ns=None, waits="CrashLoopBackOff")
    finding = excused(lambda _: muster(crashing))
    assert (finding.cause, str(finding.components[0])) == (Cause.AGENT_SICK, f"agent({POD})")
    assert "(CrashLoopBackOff): its container does not run" in str(finding.summary)


def test_one_that_is_on_the_bus_and_says_nothing_is_sick() -> None:
    finding = excused(lambda told: replace(told, present=frozenset({POD})))
    assert finding.cause is Cause.AGENT_SICK
    assert "though it is connected to the bus" in str(finding.summary)


# --- many ---------------------------------------------------------------------------------------------


def of(where: Callable[[AgentId], bool]) -> list[AgentId]:
    return [agent for agent in ALL if where(agent)]


def test_a_whole_cluster_is_one_finding_and_comes_back_without_another() -> None:
    story, gone = Story(), of(lambda agent: agent.cluster == STAGING)
    story.go_on(LONG, muster(), silent=gone)
    assert str(only(story).components[0]) == f"bus-way({STAGING})"
    assert f"from {STAGING} to the bus: gateway, link, or the bus's address" in str(only(story).summary)
    while gone:
        gone.pop()
        story.go_on(2, muster(), silent=gone)
        assert set(story.found()) <= {f"agent-cut-off:bus-way({STAGING})"}
    assert story.open == ()


def test_all_of_one_plane_have_something_in_common() -> None:
    story = Story()
    story.go_on(LONG, muster(), silent=of(lambda agent: agent.cluster == PROD and agent.plane == "pod"))
    assert str(only(story).components[0]) == f"bus-way({PROD} pod plane)"
    assert "NetworkPolicies" in str(only(story).next_step)


def test_where_nobody_comes_no_cluster_is_blamed() -> None:
    story = Story()
    story.go_on(LONG, muster(), silent=ALL)
    assert {str(part) for part in only(story).components} == {f"bus-way({c})" for c in (PROD, STAGING, DEV)}
    assert "The suspect is the bus, or the collector." in str(only(story).summary)


# --- what packets explain ---------------------------------------------------------------------------------


def test_behind_a_tunnel_that_is_down_silence_is_its_evidence() -> None:
    story = Story([strike("tunnel-down", source=PROD, target=STAGING, start_s=5 * INTERVAL_S)])
    story.go_on(4, muster())
    story.go_on(LONG, muster(), silent=of(lambda agent: agent.cluster == STAGING))
    assert story.found() == [only(story).id]
    assert only(story).cause is Cause.TUNNEL_DOWN
    assert "called running, and does not report" in texts(only(story))


def test_where_the_bus_went_with_the_tunnel_the_cluster_is_named() -> None:
    """No agent reports from there, and they answer others: what does not answer is the tunnel's fault."""
    story = Story([strike("tunnel-down", source=PROD, target=STAGING, start_s=5 * INTERVAL_S)])
    story.go_on(LONG, muster(), silent=of(lambda agent: agent.cluster == STAGING))
    finding = only(story)
    assert finding.cause is Cause.TUNNEL_DOWN, "which direction it is cannot be told without their counts"
    assert {str(part) for part in finding.components} == {
        f"tunnel({PROD}→{STAGING})", f"tunnel({STAGING}→{PROD})",
    }  # fmt: skip


def test_a_stale_proxy_that_is_named_explains_the_agent_that_cannot_come() -> None:
    story = Story(
        [
            strike("service-proxy-stale", node=str(W2), start_s=5 * INTERVAL_S),
            *planless(POD, start_s=9 * INTERVAL_S),
        ]
    )
    story.go_on(4, muster())
    fresh = muster(pod(POD, uid="second", since_s=9 * INTERVAL_S))
    story.go_on(LONG, fresh, silent=[POD])
    assert only(story).cause is Cause.SERVICE_PROXY_STALE
    assert f"called running, and does not report: {POD}" in texts(only(story))


# --- no fault -----------------------------------------------------------------------------------------------


def test_a_rolling_restart_is_no_fault() -> None:
    """Pod after pod goes and comes with another name; each takes four intervals to report."""
    story = Story()
    renewed: dict[AgentId, AgentPod] = {}
    for agent in of(lambda agent: agent.plane == "pod"):
        story.faults[:] = planless(agent, start_s=0)
        story.replan(without([agent]))
        story.go_on(1, muster(*renewed.values(), without=[agent]))
        assert story.found() == []
        story.replan(FLEET)
        since_s = (story.now_ns - BEGIN) / SECOND
        renewed[agent] = pod(agent, uid="second", since_s=since_s)
        story.go_on(4, muster(*renewed.values()), silent=[agent])
        assert story.found() == []
        story.faults.clear()
        story.replan(FLEET)
        story.go_on(2, muster(*renewed.values()))
        assert story.found() == []


def test_a_node_that_is_deleted_is_no_fault() -> None:
    """Its pods are called running for a while, though no plan contains it any more."""
    story = Story()
    gone = replace(
        FLEET,
        clusters=tuple(
            replace(one, nodes=tuple(node for node in one.nodes if one.node_id(node) != W2))
            for one in FLEET.clusters
        ),
    )
    story.replan(gone)
    story.go_on(LONG, muster(), silent=[POD, HOST])
    assert story.found() == []


def test_a_node_that_boots_is_down_and_then_nothing() -> None:
    """Its pods are called running all the time; its processes are new, and take their time."""
    down_s, up_s = 5 * INTERVAL_S, 17 * INTERVAL_S
    story = Story([strike("node-down", node=str(W2), start_s=down_s, end_s=up_s)])
    story.go_on(3, muster(), silent=[POD, HOST])
    story.go_on(9, muster(not_ready=frozenset({W2})), silent=[POD, HOST])
    assert [one.cause for one in story.open] == [Cause.NODE_DOWN]
    story.faults[:] = planless(POD, HOST, start_s=up_s)
    story.replan(FLEET)
    booted = muster(*(pod(agent, since_s=up_s + 5) for agent in (POD, HOST)))
    story.go_on(4, booted, silent=[POD, HOST])
    story.faults.clear()
    story.replan(FLEET)
    story.go_on(6, booted)
    assert "agent-cut-off" not in " ".join(story.found())
    assert story.open == ()


def test_a_node_that_boots_unnoticed_by_its_api_is_no_fault_either() -> None:
    """Packets alone called it down; it answers again before its agents are started."""
    down_s, up_s = 5 * INTERVAL_S, 17 * INTERVAL_S
    story = Story([strike("node-down", node=str(W2), start_s=down_s, end_s=up_s)])
    story.go_on(12, muster(), silent=[POD, HOST])
    assert [one.cause for one in story.open] == [Cause.NODE_DOWN]
    story.faults[:] = planless(POD, HOST, start_s=up_s)
    story.replan(FLEET)
    story.go_on(5, muster(), silent=[POD, HOST])
    assert "agent-cut-off" not in " ".join(story.found())


def test_a_pod_that_takes_anothers_place_at_once_has_its_own_time() -> None:
    story = Story()
    story.go_on(4, muster(), silent=[HOST])
    story.go_on(5, muster(pod(HOST, uid="second", since_ns=None)), silent=[HOST])
    assert story.found() == []


def test_a_collector_that_stood_still_finds_nobody_late() -> None:
    story = Story()
    story.now_ns += 600 * SECOND
    story.analyst.conclude(now_ns=story.now_ns)
    story.go_on(LONG, muster())
    assert story.found() == []


def test_while_an_api_is_away_nobody_is_called_late() -> None:
    story = Story()
    story.go_on(LONG, muster(unsure=frozenset({ClusterName(PROD)})), silent=[POD])
    assert story.found() == []
    story.go_on(4, muster(), silent=[POD])
    assert story.found() == []


def test_what_was_found_stays_while_the_api_is_away() -> None:
    story = Story()
    story.go_on(LONG, muster(), silent=[POD])
    story.go_on(5, muster(unsure=frozenset({ClusterName(PROD)})), silent=[POD])
    assert only(story).cause is Cause.AGENT_CUT_OFF
    story.go_on(LONG, muster(), silent=[POD])
    assert len({one.first_seen_ns for each in story.said for one in each}) == 1
    story.go_on(1, muster(without=[POD]), silent=[POD])
    assert story.open == ()


def test_where_no_api_is_read_an_agent_that_answers_has_lost_the_bus() -> None:
    """Packets say that its process lives; what its cluster's API would say is not known."""
    story = Story()
    story.go_on(LONG, ExpectedAgents(), silent=[POD])
    (finding,) = story.open
    assert (finding.cause, [str(part) for part in finding.components]) == (
        Cause.AGENT_CUT_OFF, [f"bus-way({POD})"],
    )  # fmt: skip
