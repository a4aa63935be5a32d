"""The sweep on real packets between two namespaces."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.namespaces import FAR_V4, FAR_V6, NEAR_V4, NEAR_V6, NamespacePair, joined, unlimited, why_not
from netprobe.engine.sweep.sockets import find_sources
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import ResultCode, SweepTargets, TargetProtocol
from netprobe.model.outcome import Rejected, TooBig
from netprobe.wire.batch import address_text, pack_addresses

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]

KEY = b"a key for the test"
QUICK = SweepSettings(timeout_ns=300_000_000, tick_ns=2_000_000)
ADDRESSES = [
    FAR_V4,
    FAR_V6,
    *(f"10.9.0.{host}" for host in range(1, 40)),
    *(f"fd09::{host}" for host in range(1, 40)),
]


@pytest.fixture
def pair() -> Iterator[NamespacePair]:
    with joined() as both, both.near.entered():
        # Linux answers one host with about one ICMP error per second; what is tested here is not that.
        unlimited(both.far)
        yield both


def firewall(pair: NamespacePair, rules: str, *, at: str = "far", hook: str = "input") -> None:
    chain = f"chain c {{\ntype filter hook {hook} priority 0\n{rules}\n}}"
    namespace = pair.far if at == "far" else pair.near
    namespace.load_rules(f"table inet t {{\n{chain}\n}}\n")


def kernel_table(name: str) -> list[str]:
    return Path(f"/proc/thread-self/net/{name}").read_text().splitlines()


def test_every_echo_is_answered_round_after_round(pair: NamespacePair) -> None:
    with Sweep(SweepTargets.of(TargetProtocol.ICMP, ADDRESSES), key=KEY, seed=1) as sweep:
        for _ in range(6):
            result = sweep.ask(QUICK)
            assert result.count(ResultCode.REACHED) == len(ADDRESSES)
            assert (result.rtts_ns > 0).all()
        assert sweep.strays == 0
        assert sweep.drops == 0


def test_each_target_has_the_source_that_its_own_route_gives(pair: NamespacePair) -> None:
    sources = {
        FAR_V4: NEAR_V4, "127.0.0.9": "127.0.0.1", "10.9.0.1": NEAR_V4, "192.0.2.1": "0.0.0.0",
        FAR_V6: NEAR_V6, "::1": "::1", "fd09::1": NEAR_V6, "2001:db8::1": "::",
    }  # fmt: skip
    targets = [*sources, *sources]
    found = find_sources(pack_addresses(targets))
    assert [address_text(row) for row in found] == [sources[target] for target in targets]


def test_syns_find_open_and_closed_and_leave_nothing_half_open(pair: NamespacePair) -> None:
    with pair.far.entered():
        listener = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
    ports = np.array([80, 81] * len(ADDRESSES))
    questions = SweepTargets.of(
        TargetProtocol.SYN, [address for address in ADDRESSES for _ in range(2)], ports=ports
    )
    with listener, Sweep(questions, key=KEY, seed=1) as sweep:
        for _ in range(10):
            result = sweep.ask(QUICK)
            assert (result.codes[::2] == ResultCode.REACHED).all()
            assert (result.codes[1::2] == ResultCode.REFUSED).all()
        with pair.far.entered():
            states = [line.split()[3] for name in ("tcp", "tcp6") for line in kernel_table(name)]
    established, half_open = "01", "03"
    assert "0A" in states, "the listener itself must be seen"
    assert not {established, half_open} & set(states)


@pytest.mark.parametrize(
    ("word", "v4", "v6"),
    [
        ("no-route", (3, 0), (1, 0)),
        ("admin-prohibited", (3, 13), (1, 1)),
        ("addr-unreachable", (3, 1), (1, 3)),
        ("port-unreachable", (3, 3), (1, 4)),
    ],
)
@pytest.mark.parametrize("kind", [TargetProtocol.ICMP, TargetProtocol.SYN])
def test_rejections_name_sender_type_and_code(
    pair: NamespacePair, word: str, v4: tuple[int, int], v6: tuple[int, int], kind: TargetProtocol
) -> None:
    what = "tcp dport 80" if kind is TargetProtocol.SYN else "icmpv6 type echo-request"
    words = {"no-route": "net-unreachable", "addr-unreachable": "host-unreachable"}
    rules = f"{what} meta nfproto ipv6 reject with icmpv6 type {word}\n"
    what4 = what if kind is TargetProtocol.SYN else "ip protocol icmp"
    rules += f"{what4} meta nfproto ipv4 reject with icmp type {words.get(word, word)}"
    firewall(pair, rules)
    questions = SweepTargets.of(kind, ["10.9.0.7", FAR_V6], ports=80 if kind is TargetProtocol.SYN else 0)
    with Sweep(questions, key=KEY, seed=1) as sweep:
        result = sweep.ask(QUICK)
    assert result.outcome(0) == Rejected("10.9.0.7", *v4)
    assert result.outcome(1) == Rejected(FAR_V6, *v6)


def test_silence_and_our_own_refusals_are_told_apart(pair: NamespacePair) -> None:
    firewall(pair, "ip daddr 10.9.0.1 drop")
    targets = ["10.9.0.1", "10.9.0.2", "192.0.2.1", FAR_V4]
    questions = SweepTargets.of(TargetProtocol.ICMP, targets, sizes=[0, 0, 0, 4000])
    with Sweep(questions, key=KEY, seed=1) as sweep:
        result = sweep.ask(QUICK)
    codes = [ResultCode(code) for code in result.codes]
    assert codes == [ResultCode.TIMED_OUT, ResultCode.REACHED, ResultCode.REJECTED, ResultCode.NOT_MEASURED]
    assert [int(errno) for errno in result.errnos] == [0, 0, 101, 90]


def test_a_local_firewall_is_our_own_trouble(pair: NamespacePair) -> None:
    firewall(pair, "ip daddr 10.9.0.1 drop", at="near", hook="output")
    with Sweep(SweepTargets.of(TargetProtocol.ICMP, ["10.9.0.1", "10.9.0.2"]), key=KEY, seed=1) as sweep:
        result = sweep.ask(QUICK)
    assert [ResultCode(code) for code in result.codes] == [ResultCode.NOT_MEASURED, ResultCode.REACHED]


def test_a_router_tells_the_mtu(pair: NamespacePair) -> None:
    pair.far.set_sysctls({"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})
    pair.far.shell(
        """
        ip link add narrow mtu 1280 type veth peer name other
        ip link set other up
        ip link set narrow up
        ip route add 10.7.0.0/24 dev narrow
        ip -6 route add fd07::/64 dev narrow
        """
    )
    pair.near.shell(f"ip route add 10.7.0.0/24 via {FAR_V4}; ip -6 route add fd07::/64 via {FAR_V6}")
    questions = SweepTargets.of(TargetProtocol.ICMP, ["10.7.0.1", "fd07::1"], sizes=1400)
    with Sweep(questions, key=KEY, seed=1) as sweep:
        for _ in range(2):  # a remembered path MTU must not turn the second one into our own error
            result = sweep.ask(QUICK)
            assert [result.outcome(row) for row in range(2)] == [TooBig(1280, FAR_V4), TooBig(1280, FAR_V6)]


def reflector(pair: NamespacePair, key: bytes = KEY) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "benchmarks.reflector", "9771", key.decode(), "far/w1/pod")
    started = subprocess.Popen(pair.far.command(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    return started


def test_stamp_sessions_count_and_tell_what_the_peer_saw(pair: NamespacePair) -> None:
    # Linux sends from a routed prefix of IPv6 only what answers in the kernel, so one address stands for it.
    once = [address for address in ADDRESSES if not address.startswith("fd09")]
    asked = [*once, *once]
    checks = np.arange(len(once), dtype=np.uint64)
    sizes = [0 if index % 2 else 300 for index in range(len(asked))]
    questions = SweepTargets.of(
        TargetProtocol.STAMP, asked, ports=9771, sizes=sizes, checks=np.concatenate([checks, checks])
    )
    with reflector(pair), Sweep(questions, key=KEY, seed=1) as sweep:
        for number in range(1, 5):
            result = sweep.ask(QUICK)
            assert result.count(ResultCode.REACHED) == len(asked)
            assert (result.rtts_ns > 0).all()
            assert result.stamps is not None
            told = result.stamps.received_counts.reshape(2, -1)
            assert (np.sort(told, axis=0) == [[2 * number - 1], [2 * number]]).all()
        assert result.stamps is not None
        assert {result.stamps.name(row) for row in range(len(asked))} == {"far/w1/pod"}
        assert [address_text(result.stamps.sources[row]) for row in (0, 1)] == [NEAR_V4, NEAR_V6]
        assert set(result.stamps.ttls.tolist()) == {64}


def test_stamp_answers_need_the_key_and_refusals_name_the_port(pair: NamespacePair) -> None:
    questions = SweepTargets.of(TargetProtocol.STAMP, [FAR_V4, FAR_V4, FAR_V6], ports=[9771, 9772, 9772])
    with reflector(pair, b"another key"), Sweep(questions, key=KEY, seed=1) as sweep:
        result = sweep.ask(QUICK)
    assert result.codes.tolist() == [ResultCode.TIMED_OUT, ResultCode.REFUSED, ResultCode.REFUSED]


def test_a_full_receive_buffer_is_our_own_trouble_and_never_loss(pair: NamespacePair) -> None:
    many = [f"10.9.{index >> 8}.{index & 255}" for index in range(1, 1001)]
    targets = SweepTargets.of(TargetProtocol.ICMP, many)
    with Sweep(targets, key=KEY, seed=1, receive_buffer_bytes=1) as sweep:  # the kernel makes it its smallest
        result = sweep.ask(QUICK)
    assert result.dropped > 0
    assert result.count(ResultCode.TIMED_OUT) == 0
    assert result.count(ResultCode.REACHED) + result.dropped == len(many)
    assert result.count(ResultCode.NOT_MEASURED) == result.dropped


UNPRIVILEGED = """
import sys
from netprobe.engine.sweep.targets import ResultCode, SweepTargets, TargetProtocol
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.errors import SystemRefusedError
addresses = sys.argv[1:]
with Sweep(SweepTargets.of(TargetProtocol.ICMP, addresses), key=b"key", seed=1) as sweep:
    print(*(sweep.ask(SweepSettings(timeout_ns=300_000_000)).count(ResultCode.REACHED) for _ in range(3)))
try:
    Sweep(SweepTargets.of(TargetProtocol.SYN, addresses, ports=80), key=b"key")
except SystemRefusedError as error:
    print(error)
"""


def test_without_net_raw_echoes_go_through_unprivileged_sockets(pair: NamespacePair) -> None:
    pair.near.set_sysctls({"ipv4/ping_group_range": "0 1000"})
    words = pair.near.command(
        "setpriv",
        "--bounding-set=-net_raw",
        "--inh-caps=-net_raw",
        sys.executable,
        "-c",
        UNPRIVILEGED,
        *ADDRESSES,
    )
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[0].split() == [str(len(ADDRESSES))] * 3
    assert (
        told[1] == "cannot open a socket: Operation not permitted (a raw socket needs the NET_RAW capability)"
    )


def test_forged_answers_do_not_count(pair: NamespacePair) -> None:
    """The far end answers nothing itself, but sends echo replies that know everything except the cookie."""
    pair.far.set_sysctls({"ipv4/icmp_echo_ignore_all": "1"})
    with pair.far.entered():
        forger = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        forger.settimeout(5)
    with forger, Sweep(SweepTargets.of(TargetProtocol.ICMP, [FAR_V4]), key=KEY, seed=1) as sweep:
        number = sweep.begin(QUICK)
        sweep.step()
        request = forger.recv(200)[20:]
        for change in (slice(16, 24), slice(12, 16), slice(8, 12)):
            forged = bytearray(b"\0" + request[1:])
            forged[change] = bytes(255 - byte for byte in forged[change])
            forger.sendto(bytes(forged), ("10.8.0.1", 0))
        forger.sendto(b"\0" + request[1:20], ("10.8.0.1", 0))
        sweep.step()
        assert sweep.strays == 4
        assert sweep.finish(number).count(ResultCode.TIMED_OUT) == 1
