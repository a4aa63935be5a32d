"""What cannot be asked is refused in one line that names the field."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netprobe.engine.drivers.registry import DRIVERS
from netprobe.errors import InputError
from netprobe.model.check import Probe, TargetKind
from netprobe.probes import registry
from netprobe.probes.kind import PacketDriver


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        pytest.param(Probe("telepathy"), "probe.kind: unknown probe kind 'telepathy'", id="unknown kind"),
        pytest.param(Probe("tcp", port=0), "probe.port: port 0 ", id="tcp port 0"),
        pytest.param(Probe("tcp", port=70_000), "probe.port: port 70000 ", id="tcp port too high"),
        pytest.param(Probe("udp", port=0), "probe.port: port 0 ", id="udp port 0"),
        pytest.param(Probe("udp", port=9, size=100), "probe.size: size 100 ", id="too small for STAMP"),
        pytest.param(Probe("udp", port=9, size=70_000), "probe.size: size 70000 ", id="too large"),
        pytest.param(Probe("icmp", size=30), "probe.size: size 30 ", id="too small for an echo"),
        pytest.param(Probe("icmp", port=7), "probe.port: ", id="icmp has no ports"),
        pytest.param(Probe("icmp", timeout_ns=0), "probe.timeout_ns: ", id="no time to answer"),
        pytest.param(Probe("http", port=-1), "probe.port: ", id="negative port"),
        pytest.param(Probe("http", name="a\r\nb"), "probe.name: ", id="header smuggling"),
        pytest.param(Probe("http", options=(("path", "x"),)), "probe.options.path: ", id="path"),
        pytest.param(Probe("http", options=(("status", "0"),)), "probe.options.status: ", id="status"),
        pytest.param(Probe("dns", name=""), "probe.name: ", id="no name to ask"),
        pytest.param(Probe("dns", name="a." * 200), "probe.name: ", id="name too long"),
        pytest.param(Probe("dns", name="a", options=(("type", "X"),)), "probe.options.type: ", id="type"),
        pytest.param(Probe("pmtu", port=0), "probe.port: port 0 ", id="pmtu port 0"),
        pytest.param(Probe("pmtu", port=9, size=500), "probe.size: size 500 ", id="pmtu too small"),
        pytest.param(
            Probe("pmtu", port=9, options=(("patience", "x"),)),
            "probe.options.patience: ",
            id="pmtu patience",
        ),
        pytest.param(Probe("trace", options=(("transport", "tcp"),)), "probe.port: port 0 ", id="trace tcp"),
        pytest.param(Probe("trace", port=70_000), "probe.port: port 70000 ", id="trace port"),
        pytest.param(Probe("trace", options=(("hops", "0"),)), "probe.options.hops: ", id="trace hops"),
        pytest.param(Probe("firewalk", port=80), "probe.options.control: a firewalk needs ", id="no control"),
        pytest.param(
            Probe("icmp", options=(("transprot", "icmp"),)),
            "probe.options.transprot: icmp has no such",
            id="unknown option",
        ),
        pytest.param(
            Probe("http", port=80, options=(("tls", "maybe"),)),
            "probe.options.tls: 'maybe' is neither no nor yes",
            id="http tls",
        ),
        pytest.param(
            Probe("http", port=80, options=(("resolve", "yes"),)),
            "probe.name: '' is not a DNS name",
            id="http resolves nothing",
        ),
        pytest.param(Probe("firewalk"), "probe.port: port 0 ", id="firewalk port 0"),
        pytest.param(
            Probe("firewalk", port=9771, options=(("control", "9771"),)),
            "probe.options.control: port 9771 cannot be its own",
            id="own control",
        ),
        pytest.param(
            Probe("firewalk", port=80, options=(("control", "0"),)), "probe.options.control: ", id="control 0"
        ),
        pytest.param(
            Probe("firewalk", port=80, options=(("control", "9771"), ("hops", "64"))),
            "probe.options.hops: ",
            id="firewalk hops",
        ),
        pytest.param(
            Probe("firewalk", port=80, options=(("transport", "sctp"),)),
            "probe.options.transport: ",
            id="firewalk transport",
        ),
        pytest.param(Probe("grpc", port=70_000), "probe.port: port 70000 ", id="grpc port"),
        pytest.param(Probe("tls", port=70_000), "probe.port: port 70000 ", id="tls port"),
        pytest.param(Probe("tls", name="a b"), "probe.name: ", id="tls name"),
    ],
)
def test_a_question_that_cannot_be_asked_is_named(probe: Probe, said: str) -> None:
    with pytest.raises(InputError) as caught:
        registry.validate(probe)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "probe",
    [
        Probe("icmp"),
        Probe("icmp", size=1_400),
        Probe("udp", port=9771),
        Probe("udp", port=9771, size=1_400),
        Probe("tcp", port=9771),
        Probe("http", port=80, name="echo.netprobe.svc.cluster.local"),
        Probe("dns", name="echo.netprobe.svc.clusterset.local", port=53),
    ],
    ids=lambda probe: f"{probe.kind}-{probe.size}",
)
def test_a_right_question_passes(probe: Probe) -> None:
    registry.validate(probe)  # does not raise


def test_every_kind_has_its_file_and_says_its_name() -> None:
    assert [kind.name for kind in registry.iter_kinds()] == sorted(registry.KINDS)
    for name in registry.KINDS:
        kind = registry.get_kind(name)
        assert kind.name == name
        assert kind.default_timeout_ns <= kind.longest_timeout_ns
        assert set(kind.options) >= {kind.agent_port_option} - {""}


def test_every_target_is_asked_by_one_kind_unless_another_is_given() -> None:
    asked = [target for kind in registry.iter_kinds() for target in kind.default_for]
    assert sorted(asked) == sorted(TargetKind)


def test_every_machine_of_packets_has_its_driver() -> None:
    driven = {kind.name for kind in registry.iter_kinds() if isinstance(kind.driver, PacketDriver)}
    assert driven == DRIVERS.keys()


LOAD_ONE = """
import sys
import netprobe.engine.engine
from netprobe.probes import registry
assert "grpc" in sorted(registry.KINDS) and "netprobe.probes.grpc" not in sys.modules
assert registry.get_kind("grpc").name == "grpc" and "netprobe.probes.grpc" in sys.modules
assert "h2" not in sys.modules
"""


def test_a_kind_is_loaded_when_it_is_first_needed() -> None:
    subprocess.run([sys.executable, "-c", LOAD_ONE], check=True, timeout=60)  # does not raise


def test_a_kind_of_a_newer_build_is_none() -> None:
    assert registry.find_kind("telepathy") is None
