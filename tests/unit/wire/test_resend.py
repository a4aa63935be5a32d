"""Requests for reports that are missing, and their answers, on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import RemoteFormatError
from netprobe.model.names import AgentId
from netprobe.model.prose import Prose
from netprobe.wire.messages import Declined, decode_question, encode_reply
from netprobe.wire.resend import (
    MAX_RESEND_BYTES,
    ResendReply,
    ResendRequest,
    decode_resend_reply,
    decode_resend_request,
    encode_resend_reply,
    encode_resend_request,
)

AGENT = AgentId.parse("prod/w1/pod")
REQUEST = ResendRequest(AGENT, "b00t", 4, 2**40)
REPLY = ResendReply(AGENT, tuple(range(32)))


def test_both_come_back_as_they_were() -> None:
    assert decode_resend_request(encode_resend_request(REQUEST)) == REQUEST
    assert decode_resend_reply(encode_resend_reply(REPLY)) == REPLY


def test_an_earlier_build_reads_a_request_as_a_malformed_question() -> None:
    with pytest.raises(RemoteFormatError, match="question"):
        decode_question(encode_resend_request(REQUEST))


def test_its_answer_is_not_taken_for_a_reply() -> None:
    with pytest.raises(RemoteFormatError, match="resend reply"):
        decode_resend_reply(encode_reply(Declined(AGENT, Prose("no"))))


@given(st.binary(max_size=64).map(lambda body: b"\x01" + body) | st.just(bytes([1]) * (MAX_RESEND_BYTES + 1)))
def test_any_input_is_read_or_refused_with_the_field(data: bytes) -> None:
    for decode in (decode_resend_request, decode_resend_reply):
        try:
            decode(data)
        except RemoteFormatError as error:
            assert str(error).startswith("resend ")
