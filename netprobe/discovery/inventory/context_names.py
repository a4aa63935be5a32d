"""What a name says: ``prod-us-west-1`` → environment, region, ordinal; and a short name for a context.

The rule. Cloud providers wrap the cluster's name in their contexts; the wrapping is taken off first
(``arn:aws:eks:<region>:<account>:cluster/<name>``, ``gke_<project>_<location>_<name>``, ``<user>@<name>``).
Then, between hyphens:

1. The first or last word is the environment if it is one of :data:`ENVIRONMENTS`.
2. The region is a run of words that looks like a provider's: a continent or country and a direction, with a
   number where the provider writes one (``us-west-1``, ``eu-central-1``, ``us-west1``, ``westeurope``).
   A single number after ``us-west`` belongs to the region, because ``us-west-1`` is one;
   in ``us-west1-2`` and ``us-west-1-2`` the last number is the ordinal.
3. A number that is left at the end is the ordinal.

What does not fit stays empty: nothing is guessed. A pattern with the groups ``environment``, ``region`` and
``ordinal`` overrides the rule for a fleet that names its clusters otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netprobe.errors import InputError

_ENVIRONMENTS = """prod production prd live stage staging stg preprod uat qa test testing tst dev develop
development sandbox sbx demo lab int integration perf dr"""
ENVIRONMENTS = frozenset(_ENVIRONMENTS.split())
_AREAS = "us|eu|ap|ca|sa|me|af|il|mx|cn|uk|asia|europe|northamerica|southamerica|australia|africa"
_SIDES = "north|south|east|west|central|northeast|northwest|southeast|southwest"
_REGION = re.compile(
    rf"(?:^|(?<=-))((?:{_AREAS})(?:-gov|-iso)?-(?:{_SIDES})(?:-?\d+)?|"
    rf"(?:{_SIDES})(?:us|europe|asia|india)\d?|(?:us|uk|jp|eu)(?:{_SIDES})\d?)(?=-|$)"
)
_GROUPS = ("environment", "region", "ordinal")


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """What a name says about where a cluster stands; empty where it does not say."""

    environment: str = ""
    region: str = ""
    ordinal: str = ""


def read_place(name: str, pattern: re.Pattern[str] | None = None) -> ClusterPlace:
    """Read the name of a cluster or a context.

    >>> read_place("prod-us-west-1")
    ClusterPlace(environment='prod', region='us-west-1', ordinal='')
    >>> read_place("prod-us-west1-2")
    ClusterPlace(environment='prod', region='us-west1', ordinal='2')
    >>> read_place("arn:aws:eks:eu-central-1:123456789012:cluster/staging-3")
    ClusterPlace(environment='staging', region='eu-central-1', ordinal='3')
    """
    if pattern is not None:
        found = pattern.search(name)
        given = found.groupdict() if found else {}
        return ClusterPlace(*(given.get(group) or "" for group in _GROUPS))
    wrapped_region = _wrapping(name)[0]
    words = short_name(name).lower()
    region = _REGION.search(words)
    rest = words[: region.start()].strip("-") + "-" + words[region.end() :].strip("-") if region else words
    left = [word for word in rest.split("-") if word]
    environment = next((word for word in (*left[:1], *left[-1:]) if word in ENVIRONMENTS), "")
    ordinal = left[-1] if left and left[-1].isdecimal() else ""
    if not environment and ordinal and len(left) > 1 and left[-2] in ENVIRONMENTS:
        environment = left[-2]
    return ClusterPlace(environment, region.group(1) if region else wrapped_region, ordinal)


def read_pattern(text: str) -> re.Pattern[str]:
    """Compile an overriding pattern; it needs at least one of the three groups."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InputError(f"is not a regular expression: {error}", where=repr(text)) from error
    if not set(pattern.groupindex) & set(_GROUPS):
        raise InputError("needs a group called environment, region or ordinal", where=repr(text))
    return pattern


def short_name(context: str) -> str:
    """A cluster's name out of its context's: without the provider's wrapping, and without a slash.

    >>> short_name("gke_my-project_europe-west4_prod"), short_name("kubernetes-admin@east")
    ('prod', 'east')
    """
    name = _wrapping(context)[1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "cluster"


def _wrapping(context: str) -> tuple[str, str]:
    """The region that a provider's wrapping tells, and the name inside it."""
    if found := re.fullmatch(r"arn:aws[a-z-]*:eks:([^:]*):[^:]*:cluster/(.+)", context):
        return found[1], found[2]
    if found := re.fullmatch(r"gke_[^_]+_([^_]+)_(.+)", context):
        return re.sub(r"-[a-z]$", "", found[1]), found[2]
    return "", context.rpartition("@")[2] or context
