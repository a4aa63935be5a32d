"""Crafted kinds without a network: what they build fits an agent's bounds, answers are judged by type."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, GRE, Ether
from scapy.layers.sctp import SCTP, SCTPChunkAbort, SCTPChunkInitAck
from scapy.packet import Packet, Raw

from netprobe.craft import packet_text
from netprobe.craft.kind import (
    Answered,
    CraftKind,
    CraftRequest,
    NotDelivered,
    Silent,
    WrongProtocol,
    judge,
    make_probe,
    outcome_of,
)
from netprobe.craft.registry import CRAFT_KINDS, find_craft_kind
from netprobe.errors import InputError
from netprobe.model.outcome import AppFailed, Reached, Refused, TimedOut
from netprobe.model.prose import Prose
from netprobe.probes import registry
from netprobe.probes.packets import HeardPacket, SentPacket, payloads_of, write_heard, write_sent

SOURCE, TARGET = "10.1.0.1", "10.2.0.2"
TOKEN = bytes(range(1, 33))
INNER = {"inner": "10.99.0.2", "inner-source": "10.99.0.1"}
NEEDS: Mapping[str, Mapping[str, str]] = dict.fromkeys(("vxlan", "geneve", "gre", "ipip"), INNER)
KINDS = pytest.mark.parametrize("name", sorted(CRAFT_KINDS))


def kind_of(name: str) -> CraftKind:
    kind = find_craft_kind(name)
    assert kind is not None
    return kind


def request_of(name: str, options: Mapping[str, str] = MappingProxyType({})) -> CraftRequest:
    return CraftRequest(SOURCE, TARGET, kind_of(name).port, TOKEN, {**NEEDS.get(name, {}), **options})


def answer_of(*packets: bytes, port: int = 0) -> tuple[str, ...]:
    heard = (HeardPacket(1_000_500 + at, TARGET, port, data) for at, data in enumerate(packets))
    return (write_sent(SentPacket(1_000_000, SOURCE, port, 0)), *map(write_heard, heard))


def reply_to(name: str, payload: Packet, *, port: int) -> object:
    packet = IP(src=TARGET, dst=SOURCE) / payload
    return judge(kind_of(name), request_of(name), Reached(500), answer_of(bytes(packet), port=port))


def echoed(name: str) -> Packet:
    """The inner echo's answer."""
    number = int.from_bytes(TOKEN[22:24], "big")
    return IP(src="10.99.0.2", dst="10.99.0.1") / ICMP(type=0, id=number, seq=1) / Raw(TOKEN)


@KINDS
def test_what_is_built_is_accepted_by_an_agent(name: str) -> None:
    probe = make_probe(kind_of(name), request_of(name), timeout_ns=10**9)
    registry.validate(probe)
    assert payloads_of(probe) == kind_of(name).build(request_of(name))
    assert find_craft_kind(name) is find_craft_kind(name)


@KINDS
@given(noise=st.binary(max_size=1_300))
def test_noise_is_never_an_answer_and_never_an_exception(name: str, noise: bytes) -> None:
    port = 0 if kind_of(name).via == "udp" else 47
    verdict = judge(kind_of(name), request_of(name), Reached(500), answer_of(noise, port=port))
    assert isinstance(verdict, Silent | WrongProtocol)


@KINDS
def test_silence_a_refusal_and_an_unknown_option_are_told_apart(name: str) -> None:
    kind, request = kind_of(name), request_of(name)
    assert judge(kind, request, TimedOut(5), ()) == Silent(5, kind.hint)
    assert judge(kind, request, Refused(5), ()) == NotDelivered(Refused(5))
    with pytest.raises(InputError, match=r"options\.colour"):
        kind.validate({"colour": "red"})


def test_verdicts_are_outcomes_for_those_who_read_outcomes() -> None:
    assert outcome_of(Answered(7)) == Reached(7)
    assert outcome_of(Silent(7)) == TimedOut(7)
    assert outcome_of(WrongProtocol("a banner", 7)) == AppFailed(Prose("wrong protocol: a banner"))
    assert outcome_of(NotDelivered(Refused(7))) == Refused(7)


def test_geneve_reads_the_inner_answers_of_its_network_only() -> None:
    mac = ":".join(f"{each:02x}" for each in (2, *TOKEN[16:21]))
    told = ARP(op=2, hwsrc="02:00:00:00:00:07", psrc="10.99.0.2", pdst="10.99.0.1", hwdst=mac)
    head = Ether(src="02:00:00:00:00:07", dst=mac)
    answers = [bytes(GENEVE(proto=0x6558, vni=1) / head / inner) for inner in (told, echoed("geneve"))]
    verdict = judge(kind_of("geneve"), request_of("geneve"), Reached(9), answer_of(*answers, port=6081))
    assert isinstance(verdict, Answered)
    assert dict(verdict.facts) == {
        "inner neighbour": "10.99.0.2 is at 02:00:00:00:00:07", "inner echo": "answered by 10.99.0.2",
    }  # fmt: skip
    other = judge(
        kind_of("geneve"), request_of("geneve", {"vni": "9"}), Reached(9), answer_of(*answers, port=6081)
    )
    assert isinstance(other, Silent)


def test_gre_and_ipip_read_the_inner_echo() -> None:
    for name, port, head in (("gre", 47, GRE(proto=0x0800)), ("ipip", 4, None)):
        inner = echoed(name)
        verdict = reply_to(name, head / inner if head is not None else inner, port=port)
        assert isinstance(verdict, Answered), name
        assert dict(verdict.facts) == {"inner echo": "answered by 10.99.0.2"}


def test_sctp_reads_an_init_ack_as_open_and_an_abort_as_closed() -> None:
    (packet,) = kind_of("sctp").build(request_of("sctp"))
    asked = IP(packet)[SCTP]
    for chunk, word in ((SCTPChunkInitAck(init_tag=9), "open"), (SCTPChunkAbort(), "closed")):
        answer = SCTP(sport=asked.dport, dport=asked.sport, tag=7) / chunk
        verdict = reply_to("sctp", answer, port=132)
        assert isinstance(verdict, Answered)
        assert dict(verdict.facts)["port"].startswith(word)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("vxlan", {"vni": "16777216"}, "options.vni: '16777216' is not within 0–16777215"),
        ("vxlan", {"inner": "here"}, "options.inner: 'here' is not an IPv4 address"),
        ("vxlan", {"inner-mac": "1"}, "options.inner-mac: '1' is not a MAC address"),
        ("gre", {"inner-source": ""}, "options.inner-source: '' is not an IPv4 address"),
        ("gre", {"key": "-1"}, "options.key: '-1' is not within"),
    ],
)
def test_an_option_that_cannot_be_meant_is_one_error(name: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        kind_of(name).build(request_of(name, options))
    assert str(caught.value).startswith(said)


def test_a_packet_of_text_is_never_evaluated() -> None:
    names = {
        node.id for node in ast.walk(ast.parse(inspect.getsource(packet_text))) if isinstance(node, ast.Name)
    }
    assert not names & {"eval", "exec", "compile", "literal_eval"}
