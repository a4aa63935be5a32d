"""Messages of the bus, plain and deflated, and the reports in columns.

An input's first byte chooses the reader and the wrapping. Every refusal is an exception that is raised,
chained and put into words, under instrumentation; all readers on all wrappings were 21 of them for one input.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check, Layer, Plan, Probe, Target, TargetKind
from netprobe.model.names import AgentId, CheckId
from netprobe.model.outcome import OutcomeKind, Rejected
from netprobe.model.prose import Prose
from netprobe.model.window import AgentHealth, Histogram, ReceivedCount, Report, Window
from netprobe.wire import conclusions, messages, reports, resend
from netprobe.wire.messages import CheckAnswer, CheckQuestion, Declined, OutcomeDetail, Presence

AGENT = AgentId.parse("prod/w1/pod")
TARGET = Target(TargetKind.AGENT, "10.2.0.2", "dev/w1/pod")
CHECK = Check(CheckId(1), AGENT, TARGET, Probe("udp", 9771), Layer.POD)
PLAN = Plan(
    AGENT, 3, (CHECK,), 10_000_000_000, bytes(32), peers=((AGENT, ("10.1.0.2",)),), askable=("10.0.0.0/8",)
)
WINDOW = Window(
    check=CHECK.id, start_ns=0, length_ns=10_000_000_000, sent=3, answered=2,
    outcomes=((OutcomeKind.REACHED, 2), (OutcomeKind.TIMED_OUT, 1)), lost_out=1, lost_back=0,
    rtt=Histogram.of([1_000, 2_000]), observed_source="10.1.0.2", answered_by="dev/w1/pod", detail=Prose(""),
)  # fmt: skip
REPORT = Report(
    agent=AGENT, epoch=3, sequence=1, boot="b00t", start_ns=0, length_ns=10_000_000_000,
    windows=(WINDOW,), heard=(ReceivedCount(CHECK.id, 0, 3),),
    health=AgentHealth(AGENT, 1, 2, 0, capabilities=("net-raw",)),
)  # fmt: skip
DECODERS: tuple[Callable[[bytes], object], ...] = (
    messages.decode_plan, messages.decode_presence, messages.decode_question, messages.decode_reply,
    conclusions.decode_snapshot, conclusions.decode_finding, reports.decode_report,
    resend.decode_resend_request, resend.decode_resend_reply,
)  # fmt: skip

WRAPPINGS: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: data,
    lambda data: b"\x01" + data,
    lambda data: b"\x01" + zlib.compress(data, 1),
)
"""As it comes, behind the version byte, and deflated behind it, so that mutations reach what is inside."""

_MESSAGES = (
    messages.encode_question(CheckQuestion(CHECK, "me")),
    messages.encode_presence(Presence(AGENT, "b00t", 7, 1, "0.1", ("net-raw",))),
    messages.encode_reply(
        CheckAnswer(AGENT, CHECK.id, (Rejected("10.2.0.1", 3, 13),), (OutcomeDetail(words=Prose("no")),))
    ),
    messages.encode_reply(Declined(AGENT, Prose("not on the allow-list"))),
    messages.encode_plan(PLAN),
    resend.encode_resend_request(resend.ResendRequest(AGENT, "b00t", 4, 9)),
    resend.encode_resend_reply(resend.ResendReply(AGENT, (4, 5, 9))),
    reports.encode_report(REPORT),
)


def _bodies(message: bytes) -> tuple[bytes, bytes, bytes]:
    """What each wrapping makes this message of."""
    try:
        body = zlib.decompress(message[1:])
    except zlib.error:
        body = message[1:]
    return message, message[1:], body


SEEDS = tuple(
    bytes([reader * len(WRAPPINGS) + wrapping]) + body
    for reader in range(len(DECODERS))
    for message in _MESSAGES
    for wrapping, body in enumerate(_bodies(message))
)


def feed(data: bytes) -> None:
    """The reader that the first byte names reads the bytes or refuses them."""
    if not data:
        return
    reader, wrapping = divmod(data[0] % (len(DECODERS) * len(WRAPPINGS)), len(WRAPPINGS))
    with suppress(RemoteFormatError):
        DECODERS[reader](WRAPPINGS[wrapping](data[1:]))
