"""Port verdicts on a generated firewall, beside nmap."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks import nmap
from benchmarks.firewall import Firewall, generate_firewall, words
from benchmarks.namespaces import FAR_V4, FAR_V6, NamespacePair, joined, unlimited, why_not
from benchmarks.port_sweep import sweep_ports
from netprobe.model.reason import Reason, ReasonCode
from netprobe.model.verdict import PORTED, PortVerdict, Transport, Verdict
from tests.lab.icmp_codes import CODES_V4, CODES_V6

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]


@pytest.fixture
def pair() -> Iterator[NamespacePair]:
    with joined() as both:
        unlimited(both.far)
        yield both


@contextmanager
def standing(pair: NamespacePair, firewall: Firewall, transport: Transport) -> Iterator[None]:
    """The firewall and its listeners, in the far namespace."""
    pair.far.load_rules(firewall.rules)
    command = pair.far.command(
        sys.executable, "-m", "benchmarks.responders", transport, *map(str, firewall.listening)
    )
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listeners:
        assert listeners.stdout is not None
        assert listeners.stdout.readline() == b"ready\n"
        yield


@pytest.mark.parametrize("transport", PORTED)
def test_verdicts_are_the_truth_and_nmap_s(pair: NamespacePair, transport: Transport) -> None:
    firewall = generate_firewall(transport, hosts=80, ports=26, limited=2, seed=11)
    with standing(pair, firewall, transport):
        with pair.near.entered():
            swept = sweep_ports(firewall.hosts, firewall.ports, transport, seed=1)
        ours = words(swept)
        assert len(ours) == 2080
        assert {pair: word for pair, word in ours.items() if firewall.truth[pair] != word} == {}
        if shutil.which("nmap") is None:
            pytest.skip("equal to the truth, but nmap is not installed to compare with")
        asked = nmap.command(transport, firewall.hosts, firewall.ports, timing="-T4")
        told = subprocess.run(pair.near.command(*asked), capture_output=True, check=True)
    theirs = nmap.read_verdicts(told.stdout)
    differing = {pair for pair, word in ours.items() if not nmap.agrees(word, theirs.get(pair))}
    assert {pair: (ours[pair], theirs.get(pair)) for pair in differing} == {}


def test_the_default_limit_of_linux_does_not_turn_closed_into_filtered(pair: NamespacePair) -> None:
    """Six ICMP errors at once, then one per second and peer."""
    pair.far.set_sysctls({"ipv4/icmp_ratelimit": "1000", "ipv4/icmp_ratemask": "6168"})
    with pair.near.entered():
        swept = sweep_ports([FAR_V4], range(2000, 2012), Transport.UDP, seed=1)
    assert set(swept.verdicts.tolist()) == {Verdict.CLOSED}
    assert swept.careful == (FAR_V4,)


def test_a_dead_host_is_unknown_and_a_shut_one_filtered(pair: NamespacePair) -> None:
    pair.far.load_rules(
        "table ip t {\nchain c {\ntype filter hook input priority 0\nip protocol tcp drop\n}\n}"
    )
    pair.far.load_rules(
        "table ip u {\nchain c {\ntype filter hook input priority 0\nip daddr 10.9.0.2 drop\n}\n}"
    )
    with pair.near.entered():
        swept = sweep_ports(["10.9.0.1", "10.9.0.2"], [80, 81], Transport.TCP, seed=1)
    assert swept.verdicts.tolist() == [Verdict.FILTERED] * 2 + [Verdict.UNKNOWN] * 2
    assert swept.verdict(3).reason == Reason(ReasonCode.SILENT_HOST)


def test_both_families_and_who_rejected(pair: NamespacePair) -> None:
    pair.far.load_rules(
        "table inet t {\nchain c {\ntype filter hook input priority 0\n"
        "meta nfproto ipv6 tcp dport 81 reject with icmpv6 type admin-prohibited\n"
        "meta nfproto ipv4 tcp dport 81 reject with icmp type admin-prohibited\n}\n}"
    )
    with pair.near.entered():
        swept = sweep_ports([FAR_V4, FAR_V6], [80, 81], Transport.TCP, seed=1)
    assert [swept.verdict(row) for row in range(4)] == [
        PortVerdict(FAR_V4, Transport.TCP, 80, Verdict.CLOSED),
        PortVerdict(FAR_V4, Transport.TCP, 81, Verdict.REJECTED, FAR_V4, 3, 13),
        PortVerdict(FAR_V6, Transport.TCP, 80, Verdict.CLOSED),
        PortVerdict(FAR_V6, Transport.TCP, 81, Verdict.REJECTED, FAR_V6, 1, 1),
    ]


@pytest.mark.parametrize("transport", PORTED)
@pytest.mark.parametrize(
    ("address", "kind", "codes"), [(FAR_V4, 3, CODES_V4), (FAR_V6, 1, CODES_V6)], ids=["v4", "v6"]
)
def test_each_code_is_told_and_a_port_unreachable_to_udp_is_closed(
    pair: NamespacePair, transport: Transport, address: str, kind: int, codes: dict[str, int]
) -> None:
    family, icmp = ("ip", "icmp") if address == FAR_V4 else ("ip6", "icmpv6")
    rules = "\n".join(
        f"{family} daddr {address} {transport} dport {100 + code} reject with {icmp} type {word}"
        for word, code in codes.items()
    )
    pair.far.load_rules(f"table inet t {{\nchain c {{\ntype filter hook input priority 0\n{rules}\n}}\n}}")
    with pair.near.entered():
        swept = sweep_ports([address], [100 + code for code in codes.values()], transport, seed=1)
    told = [swept.verdict(row) for row in range(len(codes))]
    for verdict, (word, code) in zip(told, codes.items(), strict=True):
        port = 100 + code
        if transport is Transport.UDP and word == "port-unreachable":
            assert verdict == PortVerdict(address, transport, port, Verdict.CLOSED)
        else:
            assert verdict == PortVerdict(address, transport, port, Verdict.REJECTED, address, kind, code)


@pytest.mark.parametrize("transport", PORTED)
@pytest.mark.parametrize("address", [FAR_V4, FAR_V6], ids=["v4", "v6"])
def test_an_answer_lost_on_its_way_back_is_filtered(
    pair: NamespacePair, transport: Transport, address: str
) -> None:
    family, icmp = ("ip", "icmp") if address == FAR_V4 else ("ip6", "icmpv6")
    hidden = f"{family} saddr {address} meta l4proto {{ tcp, udp }} drop"
    unheard = f"{family} saddr {address} {icmp} type destination-unreachable drop"
    pair.far.load_rules(
        f"table inet t {{\nchain c {{\ntype filter hook output priority 0\n{hidden}\n{unheard}\n}}\n}}"
    )
    with pair.near.entered():
        swept = sweep_ports([address], [80, 81], transport, seed=1)
    assert swept.verdicts.tolist() == [Verdict.FILTERED] * 2


def test_no_route_is_our_own_trouble(pair: NamespacePair) -> None:
    with pair.near.entered():
        swept = sweep_ports(["192.0.2.1"], [80], Transport.TCP, seed=1)
    assert swept.verdict(0) == PortVerdict(
        "192.0.2.1", Transport.TCP, 80, Verdict.UNKNOWN, reason=Reason(ReasonCode.NOT_SENT)
    )
