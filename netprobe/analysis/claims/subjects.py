"""Which parts of a plan a claim is about, and which claims are about a part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from netprobe.analysis.plan.index import PlanIndex
from netprobe.model.component import Component, ComponentKind, tunnel
from netprobe.model.fabric import Claim, SubjectKind
from netprobe.model.names import ClusterName, NodeId, NodeName


class ClaimSubjects:
    """The claims that can be held against this plan, and their parts."""

    def __init__(self, claims: Iterable[Claim], index: PlanIndex) -> None:
        """Claims about what no check crosses are left out: packets say nothing about it."""
        self._links = _find_links(index)
        self._routes = _find_routes(index)
        self.parts: dict[Claim, tuple[Component, ...]] = {
            claim: parts for claim in claims if (parts := self._find(claim))
        }
        about: dict[Component, list[Claim]] = defaultdict(list)
        for claim, parts in self.parts.items():
            for part in parts:
                about[part].append(claim)
        self.about: Mapping[Component, tuple[Claim, ...]] = {
            part: tuple(claims) for part, claims in about.items()
        }

    def _find(self, claim: Claim) -> tuple[Component, ...]:
        subject = claim.subject
        near, far = ClusterName(subject.source), ClusterName(subject.target)
        match subject.kind:
            case SubjectKind.LINK:
                between = self._links.get(frozenset((near, far)), {})
                # A link that a person wrote is the fabric's where it is the only one there.
                own = between.get(claim.fabric) or (next(iter(between.values())) if len(between) == 1 else ())
                return own if len(own) <= 2 else ()
            case SubjectKind.NODE_ROUTE:
                return self._routes.get((NodeId(near, NodeName(subject.node)), far), ())
            case SubjectKind.SERVICE_LINK | SubjectKind.SERVICE:
                return ()


def _find_links(index: PlanIndex) -> dict[frozenset[ClusterName], dict[str, tuple[Component, ...]]]:
    """By two clusters, and by who says that a link is there: both directions of each such link."""
    found: dict[frozenset[ClusterName], dict[str, tuple[Component, ...]]] = defaultdict(dict)
    inventory = index.inventory
    for link, detail in zip(inventory.links, inventory.link_details(), strict=True):
        ways = (
            tunnel(link.source, link.target, link=detail),
            tunnel(link.target, link.source, link=detail),
        )
        between = found[frozenset((link.source, link.target))]
        crossed = tuple(way for way in ways if way in index.crossing)
        between[link.known_from] = (*between.get(link.known_from, ()), *crossed)
    return dict(found)


def _find_routes(index: PlanIndex) -> dict[tuple[NodeId, ClusterName], tuple[Component, ...]]:
    """By node and remote cluster: its route there, and the overlay to the gateway, which the route takes."""
    found: dict[tuple[NodeId, ClusterName], set[Component]] = defaultdict(set)
    for part in index.crossing:
        if part.kind is ComponentKind.OVERLAY and part.route_target is not None and part.node is not None:
            overlay = part.without_detail()
            ways = (part, *(way for way in (overlay, overlay.reverse()) if way in index.crossing))
            found[part.node, part.route_target].update(ways)
    return {key: tuple(sorted(parts)) for key, parts in found.items()}
