"""Before clusters are changed: can each be reached, is each another one, and may we do what has to be done.

Rule: every problem of every cluster is found and told at once; while there is one, nothing is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from netprobe.discovery.k8s.client import ApiError, ApiRefusedError, ClusterApi
from netprobe.discovery.k8s.schema import Named
from netprobe.errors import NetprobeError, SystemRefusedError

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

Check = Callable[[ClusterApi], Awaitable[None]]
"""Raises :class:`SystemRefusedError` where something stands in the way in one cluster."""


@dataclass(frozen=True, slots=True)
class RequiredAccess:
    """A permission that is needed; *namespace* is empty for all of them and for cluster-scoped objects."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    subresource: str = ""

    @property
    def what(self) -> str:
        """The resource as kubectl writes it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class _Verdict(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _Verdict = _Verdict()


async def check_each(apis: Sequence[ClusterApi], check: Check) -> None:
    """Raise :class:`SystemRefusedError` with a line per cluster that *check* refuses, or that is there twice.

    Clusters are told apart by the UID of ``kube-system``.
    """
    found = await asyncio.gather(*(_identify(api, check) for api in apis), return_exceptions=True)
    problems: list[str] = []
    first: dict[str, ClusterApi] = {}
    for api, one in zip(apis, found, strict=True):
        if isinstance(one, NetprobeError):
            problems.append(f"{one}{_advise(one)}")
        elif isinstance(one, BaseException):
            raise one
        elif (other := first.setdefault(one, api)) is not api:
            problems.append(f"{api.context}: is the same cluster as {other.context}: name it once")
    if problems:
        raise SystemRefusedError("; ".join(problems))


async def expect_allowed(api: ClusterApi, acts: Iterable[RequiredAccess]) -> None:
    """Raise :class:`SystemRefusedError` that names those of *acts* which the server does not let us do."""
    acts = tuple(acts)
    told = await asyncio.gather(*(_is_allowed(api, act) for act in acts))
    refused: dict[str, list[str]] = {}
    for act, allowed in zip(acts, told, strict=True):
        if not allowed:
            refused.setdefault(act.verb, []).append(act.what)
    if refused:
        what = " nor ".join(f"{verb} {', '.join(kinds)}" for verb, kinds in refused.items())
        raise SystemRefusedError(
            f"{api.context}: you may not {what}: ask its administrator for it, or to do it for you"
        )


def _advise(error: NetprobeError) -> str:
    """What to do about a server that cannot be reached; other errors say it themselves."""
    is_away = isinstance(error, ApiError) and not isinstance(error, ApiRefusedError)
    return ": does it run, and is it reached from here (VPN, proxy-url)?" if is_away else ""


async def _identify(api: ClusterApi, check: Check) -> str:
    await check(api)
    return (await api.get("/api/v1/namespaces/kube-system", Named)).metadata.uid


async def _is_allowed(api: ClusterApi, act: RequiredAccess) -> bool:
    attributes = {
        "verb": act.verb, "group": act.group, "resource": act.resource, "namespace": act.namespace,
        "subresource": act.subresource,
    }  # fmt: skip
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    return (await api.create(_REVIEWS, review, _Review)).status.allowed
