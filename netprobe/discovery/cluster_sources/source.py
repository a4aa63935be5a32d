"""What every file of this folder ends with: how one system's list of clusters is read.

Rules. Reading is pure: a source names kinds and fields, gets the objects, and returns clusters; it never
raises for what is in them. A kind whose objects hold secrets has a ``reduce``: what holds a secret exists
only while the object is decoded, and `ApiAddress` is all that leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from netprobe.discovery.cluster_sources.api_addresses import decode_text, read_embedded_kubeconfig
from netprobe.discovery.fabrics.fields import MAX_NAME, FieldReader, UnreadNotes
from netprobe.discovery.fabrics.objects import FabricKind, FabricObject, FabricObjects, Json
from netprobe.model.clean_text import clean
from netprobe.model.declared_cluster import (
    ApiAddress,
    ApiClaim,
    ApiClaimKind,
    DeclaredCluster,
    DeclaredClusters,
)
from netprobe.model.fabric import ClaimState

ADDRESSES = "addresses"
"""Where a reduced object keeps its `ApiAddress`es, by the key of the Secret's ``data``."""
_STATES = {"True": ClaimState.UP, "False": ClaimState.DOWN, "Unknown": ClaimState.UNKNOWN}


@dataclass(frozen=True, slots=True)
class ReferredObject:
    """An object that another one names."""

    kind: FabricKind
    namespace: str
    name: str


ReadDeclared = Callable[[FabricObjects, UnreadNotes], Iterator[DeclaredCluster]]
FindReferred = Callable[[FabricObjects], Iterator[ReferredObject]]


@dataclass(frozen=True, slots=True)
class ClusterSource:
    """One system that keeps a list of clusters."""

    name: str
    """As it is given on the command line."""
    title: str
    """Its name as its own people write it."""
    kinds: tuple[FabricKind, ...]
    """What is listed of it."""
    declared: ReadDeclared
    """Its clusters, from its objects; what does not fit is noted."""
    referred: FindReferred = lambda _: iter(())
    """Further objects that are read, one by one, because listed ones name them."""
    referred_kinds: tuple[FabricKind, ...] = ()

    def read(self, objects: FabricObjects) -> DeclaredClusters:
        """Its clusters, each once, by name. Pure."""
        notes = UnreadNotes()
        notes.add_denied(objects)
        merged: dict[tuple[str, ApiAddress], DeclaredCluster] = {}
        for one in self.declared(objects, notes):
            key = one.name, one.address
            before = merged.get(key)
            merged[key] = one if before is None else replace(before, claims=(*before.claims, *one.claims))
        found = sorted(merged.values(), key=lambda one: (one.name, one.address.server, one.object))
        return DeclaredClusters(self.title, tuple(found), notes.all())


def addresses_in(one: FabricObject) -> Mapping[str, ApiAddress]:
    """What a reduced Secret says, by key."""
    found = one.body.get(ADDRESSES)
    return found if isinstance(found, dict) else {}


def reduce_kubeconfigs(body: Json) -> Json:
    """Of a Secret whose values are kubeconfigs: the server of each."""
    data = body.get("data")
    values = data.items() if isinstance(data, Mapping) else ()
    return {ADDRESSES: {str(key): read_embedded_kubeconfig(decode_text(value)) for key, value in values}}


def read_keyed_kubeconfigs(
    title: str, kind: FabricKind, objects: FabricObjects, notes: UnreadNotes
) -> Iterator[DeclaredCluster]:
    """A cluster for each key of each Secret."""
    for one in objects.of(kind):
        if one.problem:
            notes.add(str(one.reference), "", one.problem)
        for key, address in sorted(addresses_in(one).items()):
            yield DeclaredCluster(title, clean(key)[:MAX_NAME], address, one.reference)


def condition_claim(
    kind: ApiClaimKind, one: FabricObject, said: FieldReader | None, *, heard_ns: int | None = None
) -> Iterator[ApiClaim]:
    """The claim that a condition is; none where it is missing, which means that it is not known."""
    if said is None:
        return
    value = said.text("status", is_needed=True)
    if value and value not in _STATES:
        said.note("status", "is not True, False or Unknown")
    if value in _STATES:
        since_ns = said.moment_ns("lastTransitionTime")
        message = said.prose("message") or said.text("reason")
        yield ApiClaim(
            kind, one.reference, said.path("status"), value, _STATES[value], message, since_ns, heard_ns
        )
