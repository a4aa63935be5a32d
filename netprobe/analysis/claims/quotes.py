"""Claims about two clusters, and each as a sentence."""

from __future__ import annotations

from netprobe.model.fabric import Claim, ClaimState, SubjectKind
from netprobe.model.inventory import KnownFrom
from netprobe.model.names import ClusterName
from netprobe.model.prose import Prose
from netprobe.model.snapshot import Snapshot


class LinkClaims:
    """The claims of a snapshot about links, found by the two clusters that a link joins."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Grouped once: a mesh of some hundred clusters has more claims than can be searched per link."""
        found: dict[frozenset[str], list[Claim]] = {}
        for claim in snapshot.claims:
            if claim.subject.kind is SubjectKind.LINK:
                ends = frozenset((claim.subject.source, claim.subject.target))
                found.setdefault(ends, []).append(claim)
        self._by_ends = found

    def about(self, one: ClusterName, other: ClusterName, *, fabric: str = "") -> tuple[Claim, ...]:
        """What is claimed about the link between two clusters.

        Of a link that a *fabric* made only that fabric speaks; of one that a person wrote every fabric does.
        """
        claims = self._by_ends.get(frozenset((one, other)), ())
        is_written = fabric in {"", KnownFrom.FILE.value}
        return tuple(claim for claim in claims if is_written or claim.fabric == fabric)


def quote_claim(claim: Claim, *, now_ns: int) -> Prose:
    """A claim as one sentence: object, field, value, what the object says beside it, and its age."""
    said = f"{claim.fabric}, {claim.object}: {claim.field} is “{claim.value}”"
    if claim.message:
        said += f" (“{claim.message}”)"
    if claim.state is ClaimState.UNVERIFIED:
        said += ", which nothing in the object shows to be measured"
    if claim.written_ns is not None:
        said += f"; written {max(0, now_ns - claim.written_ns) / 1e9:,.0f} s ago"
    return Prose(said)
