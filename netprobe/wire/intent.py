"""Schema of the intent as a YAML document.

Rule: only the shape is defined here; consistency is validated where the intent is read
(``analysis.intent.document``). The published JSON Schema is made from these structs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Names = tuple[str, ...]
Port = Annotated[
    str, msgspec.Meta(description="tcp/443, udp/8000-8010, sctp/38412, icmp or esp", examples=["tcp/443"])
]
Verdict = Literal["allow", "deny"]
System = Literal[
    "cilium-clustermesh", "consul", "istio", "kubernetes-nodes", "linkerd", "liqo", "submariner"
]  # fmt: skip


class _IntentStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping of a document: unknown fields are errors, defaults are not written."""


class GroupDoc(_IntentStruct, frozen=True):
    """Endpoints by their properties. Every given field must match; `*` and `?` are wildcards."""

    clusters: Names = ()
    environments: Names = ()
    regions: Names = ()
    nodes: Names = ()
    planes: tuple[Literal["pod", "host"], ...] = ()
    roles: tuple[Literal["gateway", "worker"], ...] = ()
    namespaces: Names = ()
    services: Names = ()
    labels: dict[str, str] = {}
    cidrs: Names = ()


class RuleDoc(_IntentStruct, frozen=True, rename={"sources": "from", "targets": "to"}):
    """One statement between groups."""

    verdict: Verdict
    sources: Names | str
    targets: Names | str
    ports: tuple[Port, ...] = ()
    name: str = ""
    scope: Literal["any", "within", "across"] = "any"
    needs: Literal["listener", "path"] = "listener"


class ExceptionDoc(_IntentStruct, frozen=True, rename={"sources": "from", "targets": "to"}):
    """A statement with an owner that overrides every rule until its last day."""

    verdict: Verdict
    sources: Names | str
    targets: Names | str
    owner: Annotated[str, msgspec.Meta(min_length=1)]
    expires: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    ports: tuple[Port, ...] = ()
    name: str = ""
    needs: Literal["listener", "path"] = "listener"


class EntryPointDoc(_IntentStruct, frozen=True):
    """A service that stays reachable between clusters that are otherwise closed to each other."""

    to: str
    ports: tuple[Port, ...] = ()


class PatternDoc(_IntentStruct, frozen=True):
    """A multi-cluster pattern, which expands to rules."""

    pattern: Literal["independent", "hub-spoke", "federated", "hybrid"]
    groups: Names = ()
    hub: str = ""
    spokes: Names = ()
    members: dict[str, Literal["federated", "hub", "spoke", "independent"]] = {}
    entry_points: tuple[EntryPointDoc, ...] = ()
    ports: tuple[Port, ...] = ()


class IntentDoc(_IntentStruct, frozen=True):
    """What should be reachable between clusters, and what must not be."""

    version: Literal[1]
    groups: dict[str, GroupDoc] = {}
    rules: tuple[RuleDoc, ...] = ()
    patterns: tuple[PatternDoc, ...] = ()
    exceptions: tuple[ExceptionDoc, ...] = ()
    prerequisites: tuple[System, ...] = ()
    default: Verdict | None = None
    ports: tuple[Port, ...] = ("icmp", "tcp/9771", "udp/9771")
    responders: tuple[Port, ...] = ("udp/9771",)
    families: Literal["first", "all"] = "first"


def intent_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of an intent, for editors."""
    (root,), parts = msgspec.json.schema_components([IntentDoc], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netprobe intent",
        **root,
        "$defs": parts,
    }
