"""Components are written for people and read back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.model import component as parts
from netprobe.model.component import Component, ComponentKind, Written
from netprobe.model.names import AgentId, ClusterName, NodeId, Plane

NAMES = st.from_regex(r"[a-z0-9][a-z0-9./-]{0,20}", fullmatch=True)


@given(
    kind=st.sampled_from(ComponentKind), source=NAMES, target=st.just("") | NAMES, detail=st.just("") | NAMES
)
def test_what_is_written_reads_back(kind: ComponentKind, source: str, target: str, detail: str) -> None:
    component = Component(kind, Written(source), Written(target), Written(detail))
    assert Component.parse(str(component)) == component


@pytest.mark.parametrize("text", ["", "tunnel", "tunnel()", "bridge(a)", "tunnel(a→)", "tunnel(a→b"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a component"):
        Component.parse(text)


A, B = ClusterName("a"), ClusterName("b")
W1, GW = NodeId.parse("a/w1"), NodeId.parse("a/gw")
AGENT = AgentId.parse("a/w1/pod")


def test_ends_are_named_by_type() -> None:
    overlay, link = parts.overlay(W1, GW), parts.tunnel(A, B, link="backup")
    assert (overlay.node, overlay.target_node, overlay.cluster, overlay.agent) == (W1, GW, A, None)
    assert (link.node, link.cluster, link.target_cluster, link.link) == (None, A, B, "backup")
    assert link.clusters == {A, B}
    assert (parts.agent(AGENT).agent, parts.agent(AGENT).node) == (AGENT, W1)
    assert (parts.dns(A).node, parts.dns(A).target_cluster) == (None, None)


def test_details_are_named_by_kind_and_empty_elsewhere() -> None:
    made = {
        "route_target": parts.cluster_route(W1, gateway=GW, target=B),
        "link": parts.tunnel(A, B, link="backup"),
        "port": parts.firewall_rule(W1, port="tcp/80"),
        "zone": parts.dns(A, zone="clusterset.local"),
        "service_name": parts.service(A, "netprobe/echo"),
    }
    said = {"route_target": "b", "link": "backup", "port": "tcp/80", "zone": "clusterset.local",
            "service_name": "netprobe/echo"}  # fmt: skip
    for mine, part in made.items():
        assert getattr(part, mine) == said[mine]
        assert not any(getattr(part, other) for other in said if other != mine)


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (parts.cluster_route(W1, gateway=GW, target=B), "overlay(a/w1→a/gw to b)"),
        (parts.firewall_rule(W1, port="tcp/80"), "firewall-rule(a/w1 tcp/80)"),
        (parts.firewall_rule(W1, port="tcp/80").of_plane(Plane.POD), "firewall-rule(a/w1→pod tcp/80)"),
        (parts.bus_way(AGENT), "bus-way(a/w1/pod)"),
        (parts.bus_way(A, plane=Plane.POD), "bus-way(a pod plane)"),
        (parts.intent_rule(A, "203.0.113.9", rule="web"), "intent(a→203.0.113.9 web)"),
        (parts.service_proxy_for_dns(W1), "service-proxy(a/w1 dns)"),
        (parts.underlay(A, B), "underlay(a→b)"),
    ],
    ids=str,
)
def test_components_are_written_as_ever(part: Component, written: str) -> None:
    assert str(part) == written
    assert Component.parse(written) == part


def test_others_like_it() -> None:
    link = parts.tunnel(A, B, link="backup")
    assert link.reverse() == parts.tunnel(B, A, link="backup")
    assert link.reverse().ends == link.ends
    assert link.reverse().is_reverse_of(link)
    assert not link.is_reverse_of(link)
    assert link.without_detail() == parts.tunnel(A, B)
    port = parts.firewall_rule(W1, port="tcp/80")
    assert port.of_plane(Plane.HOST).of_every_plane() == port
    assert parts.overlay(W1, GW).is_at(GW)
    assert not parts.agent(AGENT).is_at(W1)
