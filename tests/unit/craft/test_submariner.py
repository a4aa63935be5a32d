"""Submariner's NAT discovery: our codec beside the protobuf library, and what each answer says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.craft.kind import Answered, CraftRequest, WrongProtocol, judge
from netprobe.craft.kinds.submariner import KIND
from netprobe.craft.protobuf_fields import read_fields, read_message, read_number, read_text, write_fields
from netprobe.errors import RemoteFormatError
from netprobe.model.outcome import Reached
from netprobe.probes.packets import HeardPacket, SentPacket, write_heard, write_sent
from tests.nat_discovery_messages import answer, make_message_class

SOURCE, TARGET, PORT = "10.1.0.1", "10.2.0.2", 4490
TOKEN = bytes(range(1, 33))
MESSAGE = make_message_class()
NUMBERS = st.integers(0, 2**32 - 1)


def facts_of(*, seen: str = SOURCE, private: str = TARGET, **options: str) -> dict[str, str]:
    request = CraftRequest(SOURCE, TARGET, PORT, TOKEN, options)
    (asked,) = KIND.build(request)
    told = answer(MESSAGE, asked, seen, 40_000, cluster="west", cable="cable-west", private=private)
    values = (write_sent(SentPacket(1, SOURCE, 40_000, 0)), write_heard(HeardPacket(9, TARGET, PORT, told)))
    verdict = judge(KIND, request, Reached(8), values)
    assert isinstance(verdict, Answered), verdict
    return dict(verdict.facts)


def test_a_request_for_another_cluster_learns_who_answers() -> None:
    assert facts_of() == {
        "answer": "UNKNOWN_DST_CLUSTER", "cluster": "west", "cable": "cable-west",
        "seen as": "10.1.0.1 port 40000", "nat of the agent": "none",
    }  # fmt: skip


def test_the_gateway_s_own_names_tell_of_both_translations() -> None:
    names = {"cluster": "west", "endpoint": "cable-west"}
    assert facts_of(**names)["nat of the gateway"] == "none"
    assert facts_of(cluster="west")["answer"] == "UNKNOWN_DST_ENDPOINT"
    behind = facts_of(seen="203.0.113.9", private="10.7.0.1", **names)
    assert behind["nat of the agent"] == "the source address is translated"
    assert behind["nat of the gateway"] == "not asked at its private address"


def test_the_answer_to_another_request_is_the_wrong_protocol() -> None:
    request = CraftRequest(SOURCE, TARGET, PORT, TOKEN)
    (asked,) = KIND.build(CraftRequest(SOURCE, TARGET, PORT, bytes(32)))
    told = answer(MESSAGE, asked, SOURCE, 1, cluster="west", cable="c", private=TARGET)
    values = (write_heard(HeardPacket(9, TARGET, PORT, told)),)
    assert isinstance(judge(KIND, request, Reached(8), values), WrongProtocol)


@given(number=st.integers(0, 2**64 - 1), cluster=st.text(), port=NUMBERS)
def test_our_fields_are_those_of_the_protobuf_library(number: int, cluster: str, port: int) -> None:
    message = MESSAGE()
    message.request.request_number, message.request.using_src.port = number, port
    message.request.sender.cluster_id = cluster
    request = read_message(read_fields(message.SerializeToString()), 2)
    assert request is not None
    assert read_number(request, 1) == number
    assert read_text(read_message(request, 2) or {}, 1) == cluster
    assert read_number(read_message(request, 4) or {}, 2) == port
    inner: dict[int, int | bytes | str] = {
        1: number,
        2: write_fields({1: cluster}),
        4: write_fields({2: port}),
    }
    again = MESSAGE.FromString(write_fields({2: write_fields(inner)}))
    assert (again.request.request_number, again.request.sender.cluster_id) == (number, cluster)
    assert again.request.using_src.port == port


@pytest.mark.parametrize("data", [b"\x08", b"\x12\x05ab", b"\x00\x01", b"\x0b", b"\x08" + b"\xff" * 11])
def test_what_is_cut_or_foreign_is_one_error(data: bytes) -> None:
    with pytest.raises(RemoteFormatError):
        read_fields(data)
