"""``submariner``: whether a gateway's NAT discovery answers, and how it sees the agent.

Asks as another gateway does (github.com/submariner-io/submariner, pkg/natdiscovery/proto/natdiscovery.proto).
The responder answers each request that it can decode, also one for another cluster, and says which cluster
and cable it is. It logs a warning for such a request. With the options ``cluster`` and ``endpoint`` (the
cable's name) it also says whether it was asked at its private address.

The request does not tell the agent's source port, which is not known here, so the responder always finds that
changed; what it says of ports is left out.
"""

from __future__ import annotations

from netprobe.craft.kind import CraftKind, CraftRequest, Facts
from netprobe.craft.protobuf_fields import (
    Fields,
    read_fields,
    read_message,
    read_number,
    read_text,
    write_fields,
)
from netprobe.errors import RemoteFormatError
from netprobe.probes.packets import HeardPacket

_CLUSTER, _ENDPOINT = "cluster", "endpoint"
_SELF = "netprobe"
_REQUEST, _RESPONSE = 2, 3
"""Fields of the outer message."""
_ANSWERS = {
    0: "OK", 1: "NAT_DETECTED", 2: "UNKNOWN_DST_CLUSTER", 3: "UNKNOWN_DST_ENDPOINT", 4: "MALFORMED",
}  # fmt: skip
_JUDGED = frozenset({0, 1})
"""Answers of a responder that is the one asked for, and so has looked at the addresses."""


def build(request: CraftRequest) -> tuple[bytes, ...]:
    """One request."""
    receiver = {1: request.options.get(_CLUSTER, _SELF), 2: request.options.get(_ENDPOINT, _SELF)}
    asked: dict[int, int | bytes | str] = {
        1: _number(request),
        2: write_fields({1: _SELF, 2: _SELF}),
        3: write_fields(receiver),
        4: write_fields({1: request.source}),
        5: write_fields({1: request.target, 2: request.port}),
    }
    return (write_fields({_REQUEST: write_fields(asked)}),)


def read(request: CraftRequest, heard: HeardPacket) -> Facts:
    """Who answers, and from which address and port it sees the agent."""
    try:
        response = read_message(read_fields(heard.data), _RESPONSE)
        facts = _tell(request, response) if response is not None else ()
    except RemoteFormatError as error:
        raise RemoteFormatError(f"the answer is not of Submariner's NAT discovery: {error}") from error
    if response is None or read_number(response, 1) != _number(request):
        raise RemoteFormatError("the answer does not repeat the number of our request")
    return facts


def _tell(request: CraftRequest, response: Fields) -> Facts:
    number, sender, seen = read_number(response, 2), read_message(response, 3), read_message(response, 8)
    facts = [("answer", _ANSWERS.get(number, f"type {number}"))]
    if sender is not None:
        facts += [("cluster", read_text(sender, 1)), ("cable", read_text(sender, 2))]
    if seen is not None:
        address = read_text(seen, 1)
        is_own = address == request.source
        facts += [
            ("seen as", f"{address} port {read_number(seen, 2)}"),
            ("nat of the agent", "none" if is_own else "the source address is translated"),
        ]
    if number in _JUDGED:
        private = "not asked at its private address" if read_number(response, 7) else "none"
        facts.append(("nat of the gateway", private))
    return tuple((name, text) for name, text in facts if text)


def _number(request: CraftRequest) -> int:
    """The request's number, which the response repeats."""
    return int.from_bytes(request.token[:8], "big")


KIND = CraftKind(
    name="submariner", build=build, read=read, port=4490, options=(_CLUSTER, _ENDPOINT),
    hint="only the active gateway of a cluster answers, and none where NAT discovery is turned off",
)  # fmt: skip
