"""Crafted questions to real daemons: answered, silent and wrong protocol.

a (prod/w1/pod) ── r ── b, where the daemons run.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
from scapy.utils import rdpcap

from netprobe.craft.capture import write_capture
from netprobe.craft.kind import (
    Answered,
    CraftRequest,
    CraftVerdict,
    NotDelivered,
    Silent,
    WrongProtocol,
    judge,
    make_probe,
)
from netprobe.craft.packet_question import make_packet_kind
from netprobe.craft.registry import find_craft_kind
from netprobe.model.check import TargetKind
from netprobe.model.outcome import NotMeasured, Refused, Rejected
from tests.lab.agents import MS, PORT, make_check
from tests.lab.linear_network import A, Line, version_of
from tests.lab.namespaces import Host, need_namespaces
from tests.patience import wait_until

pytestmark = [
    pytest.mark.lab,
    pytest.mark.slow,  # daemons start, and silence is waited for
    need_namespaces(),
]

B4, B6 = "10.2.0.2", "fd00:2::2"
OWN = {4: "10.1.0.1", 6: "fd00:1::1"}
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])
CHARON = "/usr/lib/ipsec/charon"
TOKEN = bytes(range(1, 33))
STRONGSWAN = """\
charon {
  load = random nonce aes sha1 sha2 hmac gmp kdf gcm openssl kernel-netlink socket-default vici
  port = 500
  port_nat_t = 4500
}
"""
SWANCTL = """\
connections { any {
  version = 2
  proposals = aes256-sha256-modp2048,aes128-sha256-ecp256
  local {
    auth = psk
    id = here
  }
  remote {
    auth = psk
    id = there
  }
  children { net {
    local_ts = 10.50.0.0/16
    remote_ts = 10.60.0.0/16
  } }
} }
"""
QUIC_SERVER = """\
import asyncio, sys
from aioquic.asyncio import serve
from aioquic.quic.configuration import QuicConfiguration
async def main():
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["hq-interop"])
    configuration.load_cert_chain(sys.argv[1], sys.argv[2])
    await serve("::", 443, configuration=configuration)
    await asyncio.Future()
asyncio.run(main())
"""


def need(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture
def row(linear_network: Line) -> Iterator[Line]:
    yield linear_network
    linear_network.clear()


def ask(
    row: Line,
    name: str,
    address: str,
    *,
    port: int = 0,
    timeout_ms: int = 3_000,
    options: Mapping[str, str] = MappingProxyType({}),
) -> CraftVerdict:
    kind = find_craft_kind(name)
    assert kind is not None
    request = CraftRequest(OWN[version_of(address)], address, port or kind.port, TOKEN, options)
    probe = make_probe(kind, request, timeout_ns=timeout_ms * MS)
    answer = row.asker.ask(make_check(A, address, probe, name=address, kind=TargetKind.OUTSIDE, count=1))
    return judge(kind, request, answer.outcomes[0], answer.details[0].values)


@contextmanager
def running(host: Host, *argv: str, udp: int) -> Iterator[subprocess.Popen[str]]:
    """A daemon that listens on a UDP port."""
    process = host.popen(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(f"{argv[0]} listens", lambda: f":{udp} " in host.run("ss", "-Hlun") or process.poll())
        assert process.poll() is None, f"{argv[0]} ended with {process.returncode}"
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def strongswan(linear_network: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("ike")
    (folder / "strongswan.conf").write_text(STRONGSWAN)
    (folder / "swanctl.conf").write_text(SWANCTL)
    script = (
        f"mount -t tmpfs none /run && cp {folder}/strongswan.conf /run/; "
        "export STRONGSWAN_CONF=/run/strongswan.conf; "
        "( for _ in $(seq 150); do [ -S /run/charon.vici ] && break; sleep 0.2; done; "
        f"swanctl --load-all --file {folder}/swanctl.conf; touch {folder}/loaded ) & exec {CHARON}"
    )
    with running(linear_network.b, "unshare", "-m", "sh", "-c", script, udp=4500):
        wait_until("swanctl loads the connection", (folder / "loaded").exists)
        yield


@need(CHARON, "swanctl")
@BOTH
@pytest.mark.parametrize("port", [500, 4500])
def test_strongswan_answers_the_first_message_of_ike(
    row: Line, strongswan: None, address: str, port: int
) -> None:
    verdict = ask(row, "ike", address, port=port)
    assert isinstance(verdict, Answered), verdict
    assert dict(verdict.facts)["responder SPI"]


def test_nothing_on_the_port_is_refused_and_a_drop_is_silence(row: Line) -> None:
    closed = ask(row, "openvpn", B4, port=1195)
    assert isinstance(closed, NotDelivered)
    assert isinstance(closed.outcome, Refused)
    row.r.nft("add rule inet test forward udp dport 1195 drop")
    assert isinstance(ask(row, "openvpn", B4, port=1195, timeout_ms=400), Silent)


@need("dnsmasq")
@pytest.mark.parametrize("kind", ["ike", "openvpn", "stun", "quic"])
def test_another_protocol_on_the_port_is_the_wrong_one_or_silence(row: Line, kind: str) -> None:
    """A DNS server answers what looks like a question, and nothing else."""
    with running(row.b, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                 "--pid-file=", "--port=5353", udp=5353):  # fmt: skip
        assert isinstance(ask(row, kind, B4, port=5353, timeout_ms=400), Silent | WrongProtocol)


@BOTH
@pytest.mark.parametrize("kind", ["ike", "openvpn", "stun", "quic"])
def test_an_echo_of_our_own_bytes_is_the_wrong_protocol(row: Line, address: str, kind: str) -> None:
    echo = (
        "import socket\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('::', 7007))\n"
        "while True:\n d, a = s.recvfrom(9000); s.sendto(d, a)\n"
    )
    with running(row.b, sys.executable, "-c", echo, udp=7007):
        verdict = ask(row, kind, address, port=7007)
    assert isinstance(verdict, WrongProtocol), verdict


@need("openvpn", "openssl")
@BOTH
def test_openvpn_answers_a_hard_reset(row: Line, address: str, tmp_path: Path) -> None:
    key, certificate = _certificate(tmp_path)
    with running(row.b, "openvpn", "--dev", "null", "--proto", "udp6", "--port", "1194", "--tls-server",
                 "--dh", "none", "--ca", certificate, "--cert", certificate, "--key", key,
                 udp=1194):  # fmt: skip
        verdict = ask(row, "openvpn", address)
    assert isinstance(verdict, Answered), verdict
    assert dict(verdict.facts)["server session"]


@need("turnserver")
@BOTH
def test_coturn_tells_the_mapped_address_and_a_nat_before_it(row: Line, address: str) -> None:
    with running(row.b, "turnserver", "-n", "--no-auth", "--no-tls", "--no-dtls", "--no-cli",
                 "-L", B4, "-L", B6, "--log-file", "/dev/null", udp=3478):  # fmt: skip
        verdict = ask(row, "stun", address)
        row.r.nft("add rule inet test postrouting oifname to-b masquerade")
        behind = ask(row, "stun", address)
    assert isinstance(verdict, Answered), verdict
    facts = dict(verdict.facts)
    assert facts["mapped address"].startswith(f"{OWN[version_of(address)]} port ")
    assert facts["nat"].startswith("none")
    assert isinstance(behind, Answered), behind
    assert dict(behind.facts)["nat"] == "the source address is translated"


@need("openssl")
@BOTH
def test_aioquic_names_its_versions(row: Line, address: str, tmp_path: Path) -> None:
    pytest.importorskip("aioquic")
    key, certificate = _certificate(tmp_path)
    with running(row.b, sys.executable, "-c", QUIC_SERVER, certificate, key, udp=443):
        verdict = ask(row, "quic", address)
    assert isinstance(verdict, Answered), verdict
    assert "1" in dict(verdict.facts)["versions"].split(", ")


def _certificate(folder: Path) -> tuple[str, str]:
    key, certificate = str(folder / "key.pem"), str(folder / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=b", "-days", "2", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


@contextmanager
def device(host: Host, kind: str, *arguments: str) -> Iterator[None]:
    """A tunnel device of the kernel with an address of the inner network; skips where there is none."""
    made = host.popen("ip", "link", "add", "over", "type", kind, *arguments, stderr=subprocess.PIPE)
    said = made.communicate()[1]
    if made.returncode:
        pytest.skip(f"this kernel has no {kind} device: {said.strip()}")
    try:
        host.ip("addr add 10.99.0.2/24 dev over\nlink set over up\n")
        yield
    finally:
        host.ip("link del over\n")


INNER = {"inner": "10.99.0.2", "inner-source": "10.99.0.1"}
DEVICES = {
    "vxlan": ("id", "7", "dstport", "4789", "remote", OWN[4], "local", B4),
    "geneve": ("id", "7", "remote", OWN[4]),
    "gre": ("local", B4, "remote", OWN[4]),
    "ipip": ("local", B4, "remote", OWN[4]),
}


@pytest.mark.parametrize("kind", DEVICES)
def test_a_tunnel_end_of_the_kernel_answers_an_encapsulated_echo(row: Line, kind: str) -> None:
    numbered = {"vni": "7"} if kind in {"vxlan", "geneve"} else {}
    with device(row.b, kind, *DEVICES[kind]):
        verdict = ask(row, kind, B4, options=INNER | numbered)
        other = ask(row, kind, B4, timeout_ms=400, options=INNER | numbered | {"inner": "10.99.0.77"})
    assert isinstance(verdict, Answered), verdict
    assert dict(verdict.facts)["inner echo"] == "answered by 10.99.0.2"
    assert isinstance(other, Silent), other


def test_a_vxlan_end_is_silent_in_another_network(row: Line) -> None:
    with device(row.b, "vxlan", *DEVICES["vxlan"]):
        assert isinstance(ask(row, "vxlan", B4, timeout_ms=400, options=INNER | {"vni": "8"}), Silent)


BIRD = """\
router id 10.2.0.2;
protocol device { }
protocol bfd {
  multihop { interval 200 ms; multiplier 3; };
  neighbor %s local %s multihop;
}
"""


@need("bird")
@BOTH
def test_bird_answers_bfd_over_several_hops(row: Line, address: str, tmp_path: Path) -> None:
    (tmp_path / "bird.conf").write_text(BIRD % (OWN[version_of(address)], address))
    with running(
        row.b, "bird", "-f", "-c", str(tmp_path / "bird.conf"), "-s", str(tmp_path / "ctl"), udp=4784
    ):
        verdict = ask(row, "bfd", address, port=4784)
    assert isinstance(verdict, Answered), verdict
    assert dict(verdict.facts)["state"] in {"Down", "Init"}


USRSCTP = "/usr/lib/usrsctp/discard_server"


@need(USRSCTP)
@BOTH
def test_usrsctp_accepts_at_its_port_and_is_silent_at_another(row: Line, address: str) -> None:
    """This server sends no ABORT: it sets its stack's "blackhole"."""
    with running(row.b, USRSCTP, udp=9899):
        opened = ask(row, "sctp", address, port=9)
        other = ask(row, "sctp", address, port=10, timeout_ms=400)
    assert isinstance(opened, Answered), opened
    assert dict(opened.facts)["port"].startswith("open")
    assert isinstance(other, Silent), other


@BOTH
def test_submariner_s_responder_says_who_it_is_and_how_it_sees_the_agent(row: Line, address: str) -> None:
    with running(
        row.b, sys.executable, "-m", "tests.lab.nat_discovery", "west", "cable-west", address, udp=4490
    ):
        stranger = ask(row, "submariner", address)
        known = ask(row, "submariner", address, options={"cluster": "west", "endpoint": "cable-west"})
        row.r.nft("add rule inet test postrouting oifname to-b masquerade")
        behind = ask(row, "submariner", address)
    own = OWN[version_of(address)]
    assert isinstance(stranger, Answered), stranger
    facts = dict(stranger.facts)
    assert (facts["answer"], facts["cluster"]) == ("UNKNOWN_DST_CLUSTER", "west")
    assert facts["seen as"].startswith(f"{own} port ")
    assert facts["nat of the agent"] == "none"
    assert isinstance(known, Answered), known
    assert dict(known.facts)["cable"] == "cable-west"
    assert dict(known.facts)["nat of the gateway"] == "none"
    assert isinstance(behind, Answered), behind
    assert dict(behind.facts)["nat of the agent"] == "the source address is translated"


def test_esp_is_rejected_where_the_kernel_has_none_and_silent_where_it_is_dropped(row: Line) -> None:
    told = ask(row, "esp", B4, timeout_ms=1_000)
    assert isinstance(told, Silent) or told == NotDelivered(Rejected(B4, 3, 2))
    row.r.nft("add rule inet test forward ip protocol esp reject with icmp type admin-prohibited")
    refused = ask(row, "esp", B4)
    assert isinstance(refused, NotDelivered), refused
    assert isinstance(refused.outcome, Rejected)
    assert (refused.outcome.icmp_type, refused.outcome.icmp_code) == (3, 13)
    row.clear()
    row.b.nft("add rule inet test input ip protocol esp counter drop")
    assert isinstance(ask(row, "esp", B4, timeout_ms=400), Silent)
    assert "counter packets 8 " in row.b.run("nft", "list", "table", "inet", "test")


@pytest.mark.parametrize("kind", ["gre", "ipip", "sctp"])
def test_a_host_without_that_protocol_rejects_whole_packets(row: Line, kind: str) -> None:
    verdict = ask(row, kind, B4, options={} if kind == "sctp" else INNER)
    assert isinstance(verdict, NotDelivered), verdict
    assert verdict.outcome in {Rejected(B4, 3, 2), Rejected(B4, 3, 3)}


def test_a_whole_packet_from_a_foreign_address_is_not_sent(row: Line) -> None:
    kind = find_craft_kind("ipip")
    assert kind is not None
    told = {"inner": "10.99.0.2", "inner-source": "10.99.0.1"}
    request = CraftRequest("192.0.2.1", B4, 0, TOKEN, told)
    probe = make_probe(kind, request, timeout_ns=400 * MS)
    (ended,) = row.asker.ask(make_check(A, B4, probe, name=B4, kind=TargetKind.OUTSIDE, count=1)).outcomes
    assert isinstance(ended, NotMeasured)
    assert "is from 192.0.2.1, which is not an address of this agent" in str(ended.reason)


def send(row: Line, text: str, address: str, folder: Path, *, timeout_ms: int = 1_000) -> CraftVerdict:
    """Send what ``--packet`` says; the capture of it is read back."""
    kind = make_packet_kind(text)
    request = CraftRequest(OWN[version_of(address)], address, 0, TOKEN)
    probe = make_probe(kind, request, timeout_ns=timeout_ms * MS)
    answer = row.asker.ask(make_check(A, address, probe, name=address, kind=TargetKind.OUTSIDE, count=1))
    values = answer.details[0].values
    written = write_capture(folder / "seen.pcapng", kind, request, probe, values)
    captured = rdpcap(str(folder / "seen.pcapng"))
    assert len(captured) == written > 0, answer
    assert bytes(captured[0]) == kind.build(request)[0]
    if shutil.which("tshark"):
        fields = ("-T", "fields", "-e", "ip.dst", "-e", "ipv6.dst")
        tshark = ("tshark", "-r", str(folder / "seen.pcapng"), *fields)
        seen = subprocess.run(tshark, capture_output=True, text=True, check=True)
        assert len(seen.stdout.splitlines()) == written
        assert address in seen.stdout
    return judge(kind, request, answer.outcomes[0], values)


@pytest.mark.parametrize(
    ("address", "text", "said"),
    [
        (B4, 'IP(ttl=9)/ICMP(id=77)/"hello"', "echo-reply"),
        (B6, 'IPv6()/ICMPv6EchoRequest(id=77,data="hello")', "Echo Reply"),
        (B4, f'IP()/TCP(sport=40123,dport={PORT},flags="S",seq=7)', "SA"),
        (B4, 'IP()/TCP(sport=40124,dport=9,flags="S",seq=7)', "RA"),
    ],
    ids=["echo", "echo over v6", "an open port", "a closed port"],
)
def test_a_packet_of_an_expert_is_sent_and_its_answer_shown(
    row: Line, tmp_path: Path, address: str, text: str, said: str
) -> None:
    verdict = send(row, text, address, tmp_path)
    assert isinstance(verdict, Answered), verdict
    assert said in dict(verdict.facts)["answer"]


def test_an_error_about_a_packet_of_an_expert_names_its_sender(row: Line, tmp_path: Path) -> None:
    expired = send(row, 'IP(ttl=1)/UDP(sport=4000,dport=4001)/"x"', B4, tmp_path)
    assert expired == NotDelivered(Rejected("10.1.0.2", 11, 0))
    row.r.nft("add rule inet test forward udp dport 4001 drop")
    assert isinstance(send(row, 'IP()/UDP(sport=4000,dport=4001)/"x"', B4, tmp_path, timeout_ms=300), Silent)


def test_a_packet_to_another_address_than_the_target_is_not_sent(row: Line) -> None:
    kind = make_packet_kind("IP()/ICMP()")
    probe = make_probe(kind, CraftRequest(OWN[4], "10.2.0.1", 0, TOKEN), timeout_ns=400 * MS)
    (ended,) = row.asker.ask(make_check(A, B4, probe, name=B4, kind=TargetKind.OUTSIDE, count=1)).outcomes
    assert isinstance(ended, NotMeasured)
    assert "is to 10.2.0.1, not to 10.2.0.2" in str(ended.reason)
