"""What gateways say about a finding, and how far each statement moves its confidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.analysis.diagnosis.decision_table import TABLE
from netprobe.analysis.diagnosis.hypothesis import build_hypothesis
from netprobe.analysis.diagnosis.symptom import Symptom
from netprobe.analysis.gateway_evidence.contradictions import find_contradictions
from netprobe.analysis.gateway_evidence.correlation import (
    CrossEvidence,
    PingPlan,
    PingResult,
    choose_ping_plan,
)
from netprobe.analysis.gateway_evidence.statements import EXACT_COUNT, SPEAKS_FOR, GatewayReadings
from netprobe.analysis.gateway_evidence.weighting import weigh_finding
from netprobe.model import component as parts
from netprobe.model.component import ComponentKind
from netprobe.model.finding import Cause, Finding
from netprobe.model.gateway import (
    ChosenRoute,
    ConnectionTable,
    Fact,
    LinkCounters,
    Reading,
    RuleCounter,
    TunnelPeer,
)
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeId, NodeName
from netprobe.model.prose import Prose

A, B = ClusterName("a"), ClusterName("b")
GW = NodeName("gw")
NOW_NS = 10_000 * 1_000_000_000
INVENTORY = Inventory(
    (
        Cluster(
            A, (Node(GW, NodeRole.GATEWAY, outer_addresses=("203.0.113.1",)),), pod_cidrs=("10.1.0.0/16",)
        ),
        Cluster(
            B, (Node(GW, NodeRole.GATEWAY, outer_addresses=("203.0.113.2",)),), pod_cidrs=("10.2.0.0/16",)
        ),
    ),
    (Link(A, B, LinkKind.TUNNEL, "wireguard", GW, GW, mtu=1420),),
)
DOWN = Finding(
    "f", (parts.tunnel(A, B),), Cause.TUNNEL_DOWN, 0.75, Prose("down"), first_seen_ns=NOW_NS - 60_000_000_000
)


def peer(heard_s: int | None, *, received: int = 0, sent: int = 0) -> TunnelPeer:
    return TunnelPeer("wireguard", "wg0", "203.0.113.2", ("10.2.0.0/16",), heard_s, received, sent)


def reading(*facts: Fact, node: str = "a/gw") -> Reading:
    return Reading(node, NOW_NS, facts)


def odds(confidence: float) -> float:
    return confidence / (1 - confidence)


def weigh(finding: Finding, witness: GatewayReadings) -> tuple[list[str], list[str], float]:
    told = weigh_finding(finding, [witness], inventory=INVENTORY)
    assert told.evidence_for[len(told.evidence_for) - len(finding.evidence_for) :] == finding.evidence_for
    moved = odds(told.confidence) / odds(finding.confidence)
    return [str(e.text) for e in told.evidence_for], [str(e.text) for e in told.evidence_against], moved


def says_nothing(finding: Finding, witness: GatewayReadings) -> bool:
    return weigh_finding(finding, [witness], inventory=INVENTORY) == finding


def test_an_old_handshake_speaks_for_a_dead_tunnel_and_triples_the_odds() -> None:
    told = weigh(DOWN, GatewayReadings(reading(peer(840))))
    assert told[:2] == (["a/gw: the tunnel's last handshake was 14 minutes ago"], [])
    assert told[2] == pytest.approx(SPEAKS_FOR)


def test_a_handshake_since_it_began_is_a_contradiction_and_divides_the_odds() -> None:
    speaks_for, against, moved = weigh(DOWN, GatewayReadings(reading(peer(20))))
    assert speaks_for == []
    assert against == [
        "contradiction: a/gw says connected (the tunnel's last handshake was 20 seconds ago), packets say no"
    ]
    assert moved == pytest.approx(1 / SPEAKS_FOR)


def test_a_handshake_from_before_it_began_moves_nothing() -> None:
    speaks_for, against, moved = weigh(DOWN, GatewayReadings(reading(peer(100))))
    assert speaks_for == ["a/gw: the tunnel's last handshake was 1 minute ago, which was before this began"]
    assert against == []
    assert moved == pytest.approx(1)


def test_bytes_that_go_in_and_never_come_back_speak_for_it_at_once() -> None:
    witness = GatewayReadings(
        reading(peer(100, received=50, sent=2_100)), reading(peer(98, received=50, sent=100))
    )
    speaks_for, _, moved = weigh(DOWN, witness)
    assert speaks_for == ["a/gw: 2,000 bytes went into the tunnel meanwhile, none came back"]
    assert moved == pytest.approx(SPEAKS_FOR)


@pytest.mark.parametrize("sent", [20, 19, None])
def test_a_drop_rule_counts_when_it_moved_by_exactly_our_packets(sent: int | None) -> None:
    finding = Finding(
        "f", (parts.firewall_rule(NodeId.parse("a/gw"), port="tcp/80"),), Cause.POLICY_DROP, 0.5, Prose("")
    )
    before, after = (RuleCounter("inet f forward", 4, "drop", packets) for packets in (3, 23))
    quiet = RuleCounter("inet f input", 7, "drop", 9)
    speaks_for, against, moved = weigh(
        finding, GatewayReadings(reading(after, quiet), reading(before, quiet), sent)
    )
    told = {20: "exactly our 20 packets", 19: "20 packets while we sent 19", None: "20 packets"}[sent]
    assert speaks_for == [f"a/gw: the counter of drop rule 4 in inet f forward moved by {told}"]
    assert against == []
    assert moved == pytest.approx(EXACT_COUNT if sent == 20 else 1)


def test_a_drop_rule_of_iptables_says_by_what_else_it_matches() -> None:
    finding = Finding(
        "f", (parts.firewall_rule(NodeId.parse("a/gw"), port="tcp/80"),), Cause.POLICY_DROP, 0.5, Prose("")
    )
    place = "ip filter FORWARD"
    before, after = (RuleCounter(place, 4, "drop", packets, unread=("conntrack",)) for packets in (3, 23))
    speaks_for, _, _ = weigh(finding, GatewayReadings(reading(after), reading(before), 20))
    rule = f"drop rule 4 in {place} (which also matches by conntrack)"
    assert speaks_for == [f"a/gw: the counter of {rule} moved by exactly our 20 packets"]


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        pytest.param((0, 7), (0, 12), 5, id="a-full-table-counts-drop-alone"),
        pytest.param((3, 3), (5, 5), 2, id="a-race-counts-in-both"),
        pytest.param((3, 7), (3, 7), 0, id="nothing-new"),
        pytest.param((None, None), (None, None), 0, id="not-readable"),
    ],
)
def test_what_a_table_refused_between_two_looks_speaks_for_a_full_one(
    before: tuple[int | None, int | None], after: tuple[int | None, int | None], refused: int
) -> None:
    """Linux counts each connection that finds no entry as ``drop``, and none of them as ``insert_failed``."""
    finding = Finding("f", (parts.gateway_out(NodeId(A, GW)),), Cause.CONNTRACK_FULL, 0.5, Prose(""))
    first, second = (reading(ConnectionTable(5, 100, *counters)) for counters in (before, after))
    speaks_for, against, moved = weigh(finding, GatewayReadings(second, first))
    assert moved == pytest.approx(SPEAKS_FOR if refused else 1 / SPEAKS_FOR)
    told = f"a/gw: the connection table holds 5 of 100, and {refused} connections were refused meanwhile"
    assert (speaks_for or against)[0] == (told if refused else told.partition(", and")[0])


@pytest.mark.parametrize(
    ("fact", "cause", "moves"),
    [
        (ConnectionTable(96, 100, 0, 0), Cause.CONNTRACK_FULL, SPEAKS_FOR),
        (ConnectionTable(5, 100, 0, 0), Cause.CONNTRACK_FULL, 1 / SPEAKS_FOR),
        (ConnectionTable(5, 100, None, None), Cause.CONNTRACK_FULL, 1 / SPEAKS_FOR),
        (ChosenRoute("", "", refused="blackhole"), Cause.ROUTE_MISSING, SPEAKS_FOR),
        (ChosenRoute("", ""), Cause.ROUTE_MISSING, SPEAKS_FOR),
        (ChosenRoute("10.2.0.9", "wg0"), Cause.ROUTE_MISSING, 1 / SPEAKS_FOR),
    ],
)
def test_other_facts_speak_about_their_own_cause_only(fact: Fact, cause: Cause, moves: float) -> None:
    node = NodeId(A, GW)
    finding = Finding("f", (parts.gateway_out(node),), cause, 0.5, Prose(""))
    assert weigh(finding, GatewayReadings(reading(fact)))[2] == pytest.approx(moves)
    other = Finding("f", (parts.gateway_out(node),), Cause.SNAT, 0.5, Prose(""))
    assert says_nothing(other, GatewayReadings(reading(fact)))


def test_a_small_interface_speaks_for_an_mtu_fault_and_a_dead_one_for_a_dead_tunnel() -> None:
    link = LinkCounters("wg0", False, 1280, 0, 0, 0, 0, 0)
    mtu = Finding("f", (parts.tunnel(A, B),), Cause.TUNNEL_MTU, 0.5, Prose(""))
    assert weigh(mtu, GatewayReadings(reading(peer(1), link)))[0] == [
        "a/gw: wg0 has MTU 1280, the link is meant to carry 1420"
    ]
    assert "a/gw: wg0 is down" in weigh(DOWN, GatewayReadings(reading(peer(840), link)))[0]


def test_a_gateway_elsewhere_says_nothing() -> None:
    assert says_nothing(DOWN, GatewayReadings(reading(peer(840), node="c/gw")))


def test_no_number_of_statements_makes_anything_certain() -> None:
    witnesses = [GatewayReadings(reading(peer(None))) for _ in range(9)]
    assert weigh_finding(DOWN, witnesses, inventory=INVENTORY).confidence == 0.98
    sure = Finding("f", DOWN.components, DOWN.cause, 1.0, Prose(""))
    assert weigh_finding(sure, [], inventory=INVENTORY) == sure


def test_a_contradiction_is_a_finding_of_its_own_as_sure_as_the_packets() -> None:
    (told,) = find_contradictions([DOWN], [GatewayReadings(reading(peer(20)))], inventory=INVENTORY)
    assert (told.cause, told.components) == (Cause.STATUS_CONTRADICTED, DOWN.components)
    assert told.confidence == pytest.approx(0.95 * DOWN.confidence)
    texts = [str(each.text) for each in told.evidence_for]
    assert texts[0].startswith("contradiction: a/gw says connected")
    assert texts[1] == "packets: down"
    assert told.next_step


@pytest.mark.parametrize("heard_s", [None, 840, 100])
def test_gateways_that_agree_or_say_nothing_contradict_nothing(heard_s: int | None) -> None:
    assert find_contradictions([DOWN], [GatewayReadings(reading(peer(heard_s)))], inventory=INVENTORY) == ()


def test_a_gateway_whose_tunnels_all_lead_elsewhere_has_lost_this_one() -> None:
    elsewhere = TunnelPeer("wireguard", "wg1", "198.51.100.1", ("0.0.0.0/0",), None, 0, 0)
    speaks_for, _, moved = weigh(DOWN, GatewayReadings(reading(elsewhere)))
    assert speaks_for == ["a/gw: none of its 1 tunnels leads to b"]
    assert moved == pytest.approx(SPEAKS_FOR)
    assert says_nothing(DOWN, GatewayReadings(reading()))


def test_a_live_tunnel_contradicts_a_one_way_loss_without_making_it_less_likely() -> None:
    one_way = replace(DOWN, cause=Cause.RETURN_PATH_DROPPED)
    witness = GatewayReadings(reading(peer(20)))
    assert weigh_finding(one_way, [witness], inventory=INVENTORY).confidence == one_way.confidence
    assert find_contradictions([one_way], [witness], inventory=INVENTORY)


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        (RuleCounter("inet f input", 4, "drop", 3, invalid_only=True), "asymmetric-route"),
        (RuleCounter("inet f input", 4, "drop", 3), "port-dropped"),
        (RuleCounter("inet f input", 4, "accept", 3, invalid_only=True), "port-dropped"),
    ],
    ids=["dropped as invalid", "dropped for another reason", "counted and let through"],
)
def test_a_silent_door_whose_host_drops_invalid_packets_meanwhile(rule: RuleCounter, row: str) -> None:
    text = {each.id: each.text for each in TABLE if each.cause is Cause.POLICY_DROP}[row]
    door = parts.firewall_rule(NodeId.parse("a/gw"), port="tcp/80")
    finding = build_hypothesis(Symptom(ComponentKind.FIREWALL_RULE), (door,), core=())
    told = Finding("f", (door,), Cause.POLICY_DROP, 0.5, Prose(finding.summary))
    moved = GatewayReadings(reading(replace(rule, packets=23)), reading(rule))
    still = GatewayReadings(reading(rule), reading(rule))
    assert str(weigh_finding(told, [still], inventory=INVENTORY).summary) == str(finding.summary)
    said = weigh_finding(told, [moved], inventory=INVENTORY)
    begins = text.partition("{where}")[0] if row == "asymmetric-route" else "tcp/80 on a/gw answers no source"
    assert str(said.summary).startswith(begins)
    assert (said.confidence == 0.75) == (row == "asymmetric-route")


def crossed(*, sent: int, received: int, back: int = 0) -> list[GatewayReadings]:
    """Both ends, read 4 seconds apart: what a put in, what came out at b, and what came back to a."""
    early = NOW_NS - 4_000_000_000
    there = TunnelPeer("wireguard", "wg0", "203.0.113.1", ("10.1.0.0/16",), 20, received, back)
    return [
        GatewayReadings(
            reading(peer(20, sent=sent, received=back)), replace(reading(peer(16)), taken_ns=early)
        ),
        GatewayReadings(
            reading(there, node="b/gw"),
            replace(reading(replace(there, received_bytes=0, sent_bytes=0), node="b/gw"), taken_ns=early),
        ),
    ]


ONE_WAY = Finding(
    "f", (parts.tunnel(A, B),), Cause.RETURN_PATH_DROPPED, 0.85, Prose(""), first_seen_ns=NOW_NS
)


@pytest.mark.parametrize(
    ("received", "moves", "said"),
    [
        (0, SPEAKS_FOR, "b/gw: 2,000 bytes went into the tunnel meanwhile, none came back"),
        (3_900, SPEAKS_FOR, "3,900 came out at b/gw: what vanishes is dropped behind the tunnel"),
        (1_000, 1, ""),
    ],
)
def test_what_goes_in_here_and_comes_out_there_tells_where_one_direction_is_lost(
    received: int, moves: float, said: str
) -> None:
    witnesses = crossed(sent=4_000, received=received, back=2_000)
    told = weigh_finding(ONE_WAY, witnesses, inventory=INVENTORY)
    assert odds(told.confidence) / odds(ONE_WAY.confidence) == pytest.approx(moves, rel=1e-2)
    assert said in " ".join(str(each.text) for each in told.evidence_for)
    assert len([each for each in told.evidence_for if "went into" in str(each.text)]) == bool(said)


def test_where_nothing_comes_back_either_it_is_no_one_way_loss() -> None:
    (here, _) = crossed(sent=4_000, received=0)
    _, against, moved = weigh(ONE_WAY, here)
    assert against == [
        "a/gw: 4,000 bytes went into the tunnel meanwhile, none came back: more than one direction is dead"
    ]
    assert moved == pytest.approx(1 / SPEAKS_FOR, rel=1e-2)


def test_keepalives_alone_say_nothing_about_a_way() -> None:
    told = weigh_finding(ONE_WAY, crossed(sent=400, received=400, back=64), inventory=INVENTORY)
    assert not [each for each in told.evidence_for if "went into" in str(each.text)]


FALLEN = Finding(
    "f", (parts.gateway_in(NodeId(B, GW)),), Cause.GATEWAY_DOWN, 0.75, Prose(""), first_seen_ns=NOW_NS
)


def test_a_fallen_gateway_is_told_by_its_neighbours_and_by_its_silence() -> None:
    quiet = GatewayReadings(
        reading(peer(100, received=50, sent=2_100)), reading(peer(98, received=50, sent=100))
    )
    told = weigh_finding(FALLEN, [quiet], inventory=INVENTORY, heard=CrossEvidence(silent=("b/gw", "c/gw")))
    assert [str(each.text) for each in told.evidence_for] == [
        "a/gw about b: 2,000 bytes went into the tunnel meanwhile, none came back",
        "b/gw does not answer over SSH, 1 other gateway lets us in",
    ]
    assert odds(told.confidence) / odds(0.75) == pytest.approx(SPEAKS_FOR**2, rel=1e-2)


def test_silence_says_nothing_where_nobody_lets_us_in() -> None:
    assert weigh_finding(FALLEN, [], inventory=INVENTORY, heard=CrossEvidence(silent=("b/gw",))) == FALLEN


def test_a_living_tunnel_to_a_gateway_that_forwards_nothing_is_a_remark() -> None:
    alive = GatewayReadings(reading(peer(5, received=900, sent=900)), reading(peer(2)))
    speaks_for, against, moved = weigh(FALLEN, alive)
    assert speaks_for == ["a/gw about b: the tunnel's last handshake was 5 seconds ago"]
    assert against == []
    assert moved == pytest.approx(1)


@pytest.mark.parametrize(("answered", "moves"), [(0, 1), (7, 1), (20, 1 / SPEAKS_FOR)])
def test_pings_that_come_back_contradict_a_dead_tunnel_and_lost_ones_are_a_remark(
    answered: int, moves: float
) -> None:
    volley = PingResult("a/gw", "b/gw", 20, answered)
    told = weigh_finding(DOWN, [], inventory=INVENTORY, heard=CrossEvidence(volley))
    assert odds(told.confidence) / odds(DOWN.confidence) == pytest.approx(moves, rel=1e-2)
    said = (*told.evidence_for, *told.evidence_against)
    assert [str(each.text) for each in said] == [
        f"a/gw: {answered} of its own 20 pings to b/gw were answered"
    ]


def test_a_volley_crosses_what_is_called_broken_and_never_goes_to_an_outer_address() -> None:
    inner = replace(INVENTORY.clusters[1].nodes[0], host_addresses=("203.0.113.2", "10.2.0.1"))
    inventory = replace(
        INVENTORY, clusters=(INVENTORY.clusters[0], replace(INVENTORY.clusters[1], nodes=(inner,)))
    )
    assert choose_ping_plan(DOWN, inventory) == PingPlan("a/gw", "b/gw", "10.2.0.1")
    assert choose_ping_plan(FALLEN, inventory) == PingPlan("a/gw", "b/gw", "10.2.0.1")
    assert choose_ping_plan(DOWN, INVENTORY) is None
