"""Questions that talk, on real packets, over IPv4 and IPv6.

a (prod/w1/pod) ── r ── b (dev/w1/pod)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from netprobe.model.outcome import AppFailed, Outcome, Reached, Refused, Rejected, TimedOut, TlsFailed
from tests.lab.agents import MS, PORT
from tests.lab.line import Line, family_of, line
from tests.lab.namespaces import need_namespaces

pytestmark = [pytest.mark.lab, need_namespaces()]

B4, B6 = "10.2.0.2", "fd00:2::2"
R = {B4: "10.1.0.2", B6: "fd00:1::2"}
BOTH = pytest.mark.parametrize("address", [B4, B6], ids=["v4", "v6"])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with line(tmp_path_factory.mktemp("sessions")) as made:
        yield made


@pytest.fixture
def scene(network: Line) -> Iterator[Line]:
    yield network
    network.clear()


@BOTH
def test_pmtu_of_a_sound_path_is_ok_both_ways(scene: Line, address: str) -> None:
    answer = scene.ask("pmtu", address, port=PORT)
    assert isinstance(answer.outcomes[0], Reached)
    assert dict(answer.details[0].facts) == {
        "forward": "ok: 1500 bytes pass, the largest tried",
        "back": "ok: 1500 bytes pass, as many as arrive there",
    }


@BOTH
@pytest.mark.parametrize(
    ("side", "blamed", "sound"), [("daddr", "forward", "back"), ("saddr", "back", "forward")]
)
def test_a_black_hole_is_found_in_its_direction(
    scene: Line, address: str, side: str, blamed: str, sound: str
) -> None:
    rule = f"{family_of(address)} {side} {address} meta length > 1333 drop"
    scene.r.nft(f"add rule inet test forward {rule}")
    answer = scene.ask("pmtu", address, port=PORT)
    facts = dict(answer.details[0].facts)
    assert isinstance(answer.outcomes[0], TimedOut)
    assert answer.details[0].words == f"blackhole {blamed} above 1333 bytes"
    assert facts[blamed].startswith("blackhole: 1333 bytes pass")
    assert facts[sound].startswith("ok: ")


@BOTH
def test_a_router_that_tells_its_mtu_is_healthy(scene: Line, address: str) -> None:
    scene.r.ip("link set to-b mtu 1300\n")
    try:
        answer = scene.ask("pmtu", address, port=PORT)
    finally:
        scene.r.ip("link set to-b mtu 1500\n")
    assert isinstance(answer.outcomes[0], Reached)
    forward = dict(answer.details[0].facts)["forward"]
    assert forward == f"reduced: 1300 bytes pass, as {R[address]} says; path MTU discovery works"


@BOTH
def test_our_own_interface_is_not_the_network(scene: Line, address: str) -> None:
    scene.a.ip("link set to-r mtu 1400\n")
    try:
        facts = scene.facts("pmtu", address, port=PORT)
    finally:
        scene.a.ip("link set to-r mtu 1500\n")
        scene.a.run("ip", "-6", "route", "replace", "default", "via", R[B6])
    assert facts["forward"] == "ok: 1400 bytes pass, all that this host's own interface lets out"


@BOTH
def test_nothing_passes_unreachable(scene: Line, address: str) -> None:
    scene.r.nft(f"add rule inet test forward {family_of(address)} daddr {address} drop")
    answer = scene.ask("pmtu", address, port=PORT, patience="100")
    assert answer.outcomes == (TimedOut(300 * MS),)
    assert dict(answer.details[0].facts) == {"forward": "unreachable", "back": "unreachable"}


def test_a_rejected_search_names_who_rejected(scene: Line) -> None:
    scene.r.nft(f"add rule inet test forward ip daddr {B4} reject with icmp type admin-prohibited")
    assert scene.ask("pmtu", B4, port=PORT).outcomes == (Rejected(R[B4], 3, 13),)


@pytest.fixture(scope="module")
def tls_server(network: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """``openssl s_server`` on the far host, with a certificate that nobody trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    network.b.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", f"{folder}/key", "-out", f"{folder}/cert", "-days", "3650", "-subj", "/CN=echo",
    )  # fmt: skip
    command = ("openssl", "s_server", "-quiet", "-accept", "4433", "-key", f"{folder}/key")
    server = network.b.popen(*command, "-cert", f"{folder}/cert", stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 15
        while ":4433 " not in network.b.run("ss", "-Hltn"):
            assert time.monotonic() < until, "openssl does not listen"
            time.sleep(0.05)
        yield 4433
    finally:
        server.kill()
        server.wait()


@BOTH
def test_tls_is_observed_without_trust_and_its_faults_are_named(
    scene: Line, tls_server: int, address: str
) -> None:
    answer = scene.ask("tls", address, port=tls_server, seconds=2)
    assert isinstance(answer.outcomes[0], Reached), answer
    facts = dict(answer.details[0].facts)
    assert (facts["subject"], facts["version"][:7]) == ("echo", "TLSv1.3")
    wrong = scene.ask("tls", address, port=PORT, seconds=1)
    assert isinstance(wrong.outcomes[0], TimedOut | TlsFailed)
    kind, code = ("icmp", (3, 13)) if address == B4 else ("icmpv6", (1, 1))
    rule = f"{family_of(address)} daddr {address} reject with {kind} type admin-prohibited"
    scene.r.nft(f"add rule inet test forward {rule}")
    assert scene.ask("tls", address, port=tls_server, seconds=2).outcomes == (Rejected(R[address], *code),)


_GRPC_SERVER = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

def serve(port):
    server = grpc.server(ThreadPoolExecutor(2))
    assert server.add_insecure_port(f"[::]:{port}")
    return server

told = health.HealthServicer()
for name in ("SERVING", "NOT_SERVING", "UNKNOWN"):
    told.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(name))
healthy, plain = serve(50051), serve(50052)
health_pb2_grpc.add_HealthServicer_to_server(told, healthy)
healthy.start(); plain.start()
print("up", flush=True)
time.sleep(300)
"""


@pytest.fixture(scope="module")
def grpc_server(network: Line) -> Iterator[None]:
    """Google's own gRPC servers: one with health checks on 50051, one without on 50052."""
    server = network.b.popen(sys.executable, "-c", _GRPC_SERVER, stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == "up\n"
        yield
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@BOTH
@pytest.mark.usefixtures("grpc_server")
def test_grpc_health_is_told_apart_by_a_real_server(scene: Line, address: str) -> None:
    def ask(port: int = 50_051, **options: str) -> Outcome:
        return scene.ask("grpc", address, port=port, seconds=2, **options).outcomes[0]  # type: ignore[arg-type]

    assert isinstance(ask(), Reached)
    assert isinstance(ask(service="SERVING"), Reached)
    assert ask(service="NOT_SERVING") == AppFailed("service 'NOT_SERVING' says NOT_SERVING")
    assert ask(service="UNKNOWN") == AppFailed("service 'UNKNOWN' says UNKNOWN")
    assert ask(service="nowhere") == AppFailed("the server knows no service 'nowhere' (NOT_FOUND)")
    unimplemented = "the server speaks gRPC but offers no health checks (UNIMPLEMENTED)"
    assert ask(50_052) == AppFailed(unimplemented)
    assert isinstance(ask(50_053), Refused)
    assert ask(PORT) == AppFailed("not HTTP/2: it answers in HTTP/1")
    scene.r.nft(f"add rule inet test forward {family_of(address)} daddr {address} tcp dport 50051 drop")
    assert ask() == TimedOut(2_000 * MS)
