"""Options of a packet's header: what can be meant is read, what cannot is one clear error."""

from __future__ import annotations

import pytest

from netprobe.errors import InputError
from netprobe.model.check import Probe
from netprobe.model.outcome import Reached, TimedOut
from netprobe.probes import registry
from netprobe.probes.observation import Observation
from netprobe.probes.packet_options import PacketOptions, packet_options_of, sized, without_packet_options
from netprobe.probes.repeats import count_answers, note_repeat, read_source_port, write_source_port


def probe(kind: str = "udp", **options: str) -> Probe:
    told = sorted((key.replace("_", "-"), value) for key, value in options.items())
    return Probe(kind, 0 if kind == "icmp" else 9771, options=tuple(told))


def test_what_is_said_is_read() -> None:
    asked = probe(dscp="18", ttl="3", fragments="yes", source_port="40000-40003")
    options = packet_options_of(asked)
    assert options == PacketOptions(18, 3, in_fragments=True, source_ports=range(40_000, 40_004))
    assert options.traffic_class == 72
    assert [options.source_port(turn) for turn in range(5)] == [40_000, 40_001, 40_002, 40_003, 40_000]


def test_nothing_said_is_the_plain_header() -> None:
    options = packet_options_of(probe())
    assert options.is_plain
    assert options.source_port(7) == 0


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("icmp", {"dscp": "64"}, "probe.options.dscp: '64' is not within 0–63"),
        ("tcp", {"dscp": "AF21"}, "probe.options.dscp: 'AF21' is not within 0–63"),
        ("udp", {"ttl": "0"}, "probe.options.ttl: '0' is not within 1–255"),
        ("icmp", {"fragments": "3"}, "probe.options.fragments: '3' is neither no nor yes"),
        ("udp", {"source_port": "9-1"}, "probe.options.source-port: '9-1' is not a port or a range"),
        ("tcp", {"source_port": "1-65"}, "probe.options.source-port: '1-65' is not a port or a range"),
        ("tcp", {"source_port": "70000"}, "probe.options.source-port: '70000' is not within 1–65535"),
        ("udp", {"source_port": "4", "flow": "1"}, "probe.options.source-port: a flow has"),
        ("icmp", {"source_port": "4"}, "probe.options.source-port: icmp has no such option"),
        ("tcp", {"fragments": "yes"}, "probe.options.fragments: tcp has no such option"),
        ("tcp", {"data": "much"}, "probe.options.data: 'much' is none of no, ack, answer"),
        ("trace", {"dscp": "-1"}, "probe.options.dscp: '-1' is not within 0–63"),
    ],
)
def test_what_cannot_be_meant_names_its_field(kind: str, options: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        registry.validate(probe(kind, **options))
    assert str(caught.value).startswith(said)


def test_the_question_beside_it_keeps_all_that_is_not_of_the_header() -> None:
    assert without_packet_options(probe("tcp", dscp="18", data="ack")) == (("data", "ack"),)


def test_a_datagram_in_fragments_is_large_unless_its_size_is_said() -> None:
    assert sized(probe(fragments="yes")) == 4_000
    assert sized(probe()) == 0
    assert sized(Probe("icmp", size=1_600, options=(("fragments", "yes"),))) == 1_600


def test_repeats_are_counted_beside_the_source_port() -> None:
    seen = Observation(Reached(5), values=(write_source_port(40_001),))
    assert count_answers(seen.values) == 1
    twice = note_repeat(note_repeat(seen))
    assert (count_answers(twice.values), read_source_port(twice.values)) == (3, 40_001)
    assert read_source_port(Observation(TimedOut(1)).values) == 0
