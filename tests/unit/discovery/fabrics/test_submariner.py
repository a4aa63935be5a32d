"""What Submariner's objects say: gateways, links, ranges, claims, and which of them nothing measured."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.discovery.fabrics import submariner
from netprobe.discovery.fabrics.objects import FabricObjects
from netprobe.model.fabric import (
    ClaimKind,
    ClaimState,
    ClaimSubject,
    FabricCluster,
    FabricFacts,
    FabricLink,
    RemappedAddress,
    SubjectKind,
)
from tests.unit.discovery.fabrics import submariner_objects as made
from tests.unit.discovery.fabrics.readings import read


def facts(**items: list[Any]) -> FabricFacts:
    return read(submariner, made.east() | items)


def test_a_healthy_pair_is_known_without_a_word_of_a_person() -> None:
    found = facts()
    assert (found.fabric, found.cluster, found.unread) == ("Submariner", "east", ())
    assert found.clusters == (
        FabricCluster("east", ("10.1.0.0/16",), ("10.91.0.0/16",)),
        FabricCluster("west", ("10.2.0.0/16",), ("10.92.0.0/16",)),
    )
    assert found.links == (
        FabricLink("east", "west", "ipsec", 4501, source_gateway="east-gw", target_gateway="west-gw"),
    )
    own, far = found.gateways
    assert (own.cluster, own.node, own.is_active) == ("east", "east-gw", True)
    assert own.written_ns == made.WRITTEN_S * 1_000_000_000
    assert (far.cluster, far.node, far.private_addresses) == ("west", "west-gw", ("198.51.100.21",))
    assert far.outer_addresses == ("198.51.100.21", "203.0.113.21"), "the address in use comes first"


def test_the_cable_driver_is_the_mechanism() -> None:
    for driver, mechanism in (("wireguard", "wireguard"), ("vxlan", "vxlan"), ("libreswan", "ipsec")):
        endpoints = [made.endpoint("east", backend=driver), made.endpoint("west", backend=driver)]
        (link,) = facts(endpoints=endpoints).links
        assert link.mechanism == mechanism
    found = facts(endpoints=[made.endpoint("east"), made.endpoint("west", backend="quic")])
    assert found.links[0].mechanism == "quic"
    assert [(one.field, one.problem) for one in found.unread] == [
        ("spec.backend", "is a cable driver that we do not know")
    ]


def test_addresses_are_read_from_the_plural_and_else_from_the_singular() -> None:
    plural = made.endpoint("west", privateIPs=["198.51.100.22", "2001:db8::2"], private_ip="192.0.2.99")
    singular = made.endpoint("west", private_ip="192.0.2.98")
    del singular["spec"]["privateIPs"]
    quiet = [made.gateway("east")]
    for object_, private in ((plural, ("198.51.100.22", "2001:db8::2")), (singular, ("192.0.2.98",))):
        found = facts(endpoints=[made.endpoint("east"), object_], gateways=quiet)
        assert found.gateways[-1].private_addresses == private


def test_behind_nat_the_public_address_is_the_outer_one() -> None:
    found = facts(endpoints=[made.endpoint("east"), made.endpoint("west", nat=True)],
                  gateways=[made.gateway("east")])  # fmt: skip
    assert found.gateways[-1].outer_addresses == ("203.0.113.21", "198.51.100.21")


def test_where_endpoints_may_not_be_listed_gateways_say_the_same() -> None:
    everything = made.east()
    objects = read(submariner, everything)
    del everything["endpoints"]
    without = read(submariner, everything)
    assert (without.links, without.gateways) == (objects.links, objects.gateways)


def test_a_passive_gateway_is_one_and_claims_nothing() -> None:
    passive = made.gateway("east", made.connection("west", "error"), status="passive")
    passive["metadata"]["name"] = "east-gw2"
    passive["status"]["localEndpoint"]["hostname"] = "east-gw2"
    found = facts(gateways=[made.gateway("east", made.connection("west")), passive])
    assert [(one.node, one.is_active) for one in found.gateways if one.cluster == "east"] == [
        ("east-gw", True),
        ("east-gw2", False),
    ]
    assert {claim.object.name for claim in found.claims} == {"east-gw", "east-w1"}


def test_claims_name_object_field_value_and_freshness() -> None:
    connection, route = facts().claims
    assert str(connection.object) == "gateways.submariner.io submariner-operator/east-gw"
    assert (connection.field, connection.value) == ("status.connections[0].status", "connected")
    assert (connection.kind, connection.state) == (ClaimKind.SUBMARINER_CONNECTION, ClaimState.UP)
    assert connection.subject == ClaimSubject(SubjectKind.LINK, "east", "west")
    written_ns = made.WRITTEN_S * 1_000_000_000
    assert not connection.is_stale(now_ns=written_ns + 15_000_000_000)
    assert connection.is_stale(now_ns=written_ns + 16_000_000_000)
    assert not connection.is_stale(now_ns=written_ns + 16_000_000_000, allowance_ns=1_000_000_000)
    assert connection.is_stale(now_ns=written_ns - 16_000_000_000)
    assert route.subject == ClaimSubject(SubjectKind.NODE_ROUTE, "east", "west", "east-w1")
    assert not route.is_stale(now_ns=2 * written_ns), "a route agent does not say when it wrote"


@pytest.mark.parametrize(
    ("status", "more", "state"),
    [
        ("connected", {}, ClaimState.UP),
        ("connected", {"rtt": ""}, ClaimState.UNVERIFIED),
        ("connected", {"rtt": "0s"}, ClaimState.UNVERIFIED),
        ("connected", {"message": "no health check"}, ClaimState.UNVERIFIED),
        ("connecting", {"rtt": ""}, ClaimState.DOWN),
        ("error", {"message": "Failed to successfully ping"}, ClaimState.DOWN),
    ],
)
def test_connected_is_a_measurement_only_with_a_time_and_without_a_message(
    status: str, more: dict[str, str], state: ClaimState
) -> None:
    found = read(submariner, made.east(made.connection("west", status, **more)))
    (claim,) = (one for one in found.claims if one.kind is ClaimKind.SUBMARINER_CONNECTION)
    assert (claim.state, claim.message) == (state, more.get("message", ""))


def test_a_route_agent_that_says_none_claims_nothing_and_an_unknown_state_is_named() -> None:
    quiet = facts(routeagents=[made.route_agent("east-w1", "west", "none")])
    odd = facts(routeagents=[made.route_agent("east-w1", "west", "wobbly")])
    for found, problems in ((quiet, []), (odd, ["is a state that we do not know"])):
        assert [one.kind for one in found.claims] == [ClaimKind.SUBMARINER_CONNECTION]
        assert [one.problem for one in found.unread] == problems


def test_globalnet_remaps_addresses_and_marks_the_link() -> None:
    ingress = {
        "metadata": {"name": "x", "namespace": "shop"},
        "spec": {"target": "ClusterIPService", "serviceRef": {"name": "cart"}},
        "status": {"allocatedIP": "242.0.0.9"},
    }
    egress = {"metadata": {"name": "cluster-egress"}, "status": {"allocatedIPs": ["242.0.0.1", "242.0.0.2"]}}
    found = facts(
        clusters=[made.cluster("east", global_cidr=("242.0.0.0/16",)), made.cluster("west")],
        globalingressips=[ingress],
        clusterglobalegressips=[egress],
    )
    assert found.clusters[0].remapped_cidrs == ("242.0.0.0/16",)
    assert [link.is_remapped for link in found.links] == [True]
    assert found.remapped == (
        RemappedAddress("east", "242.0.0.9", owner="shop/cart"),
        RemappedAddress("east", "242.0.0.1"),
        RemappedAddress("east", "242.0.0.2"),
    )


def test_what_is_missing_or_of_another_type_is_named_and_the_rest_is_read() -> None:
    odd = made.gateway("east", made.connection("west"), written_s="yesterday")
    del odd["status"]["connections"][0]["endpoint"]["cluster_id"]
    odd["status"]["connections"].append("connected")
    found = facts(gateways=[odd], clusters=[{"metadata": made.meta("east"), "spec": 5}])
    assert {(one.field, one.problem) for one in found.unread} == {
        ("metadata.annotations.update-timestamp", "is not a time in seconds"),
        ("status.connections[0].endpoint.cluster_id", "is missing"),
        ("status.connections[1]", "is not a mapping"),
        ("spec", "is not a mapping"),
        ("spec.cluster_id", "is missing"),
    }
    assert [link.target for link in found.links] == ["west"]


def test_gateways_that_differ_about_their_cluster_name_none() -> None:
    found = facts(gateways=[made.gateway("east"), made.gateway("west")])
    assert found.cluster == ""
    assert any(one.problem == "gateways of one cluster differ in it" for one in found.unread)


def test_kinds_that_may_not_be_listed_are_named() -> None:
    found = submariner.read(FabricObjects({}, (submariner.GATEWAYS,)))
    assert [str(one) for one in found.unread] == ["gateways.submariner.io: cannot be listed"]
