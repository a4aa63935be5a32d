"""Non-blocking connects on real packets: what a process without NET_RAW can learn."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from benchmarks.namespaces import FAR_V4, FAR_V6, joined, unlimited, why_not
from netprobe.engine.sweep.connect_scan import ConnectTarget, sweep_connects
from netprobe.model.outcome import NotMeasured, Reached, Refused, Rejected, TimedOut

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]

RULES = """table inet t {
chain c {
type filter hook input priority 0
tcp dport 82 drop
meta nfproto ipv4 tcp dport 83 reject with icmp type admin-prohibited
meta nfproto ipv6 tcp dport 83 reject with icmpv6 type admin-prohibited
}
}"""


UNPRIVILEGED = """
import sys
from benchmarks.port_sweep import sweep_ports
from netprobe.model.verdict import Transport
print(*sweep_ports(sys.argv[1:], [80, 81, 82, 83], Transport.TCP).verdicts)
"""


def test_port_verdicts_come_by_connecting_where_net_raw_is_missing() -> None:
    with joined() as pair:
        unlimited(pair.far)
        pair.far.load_rules(RULES)
        with pair.far.entered():
            listener = socket.create_server((FAR_V4, 80))
        drop = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
        with listener:
            command = pair.near.command(*drop, sys.executable, "-c", UNPRIVILEGED, FAR_V4)
            told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["open", "closed", "filtered", "rejected"]


def test_every_kind_of_door_is_told_apart_and_nothing_stays_open() -> None:
    with joined() as pair:
        unlimited(pair.far)
        pair.far.load_rules(RULES)
        with pair.far.entered():
            listener = socket.create_server(
                ("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512
            )
        doors = [ConnectTarget(address, port) for address in (FAR_V4, FAR_V6) for port in (80, 81, 82, 83)]
        with listener, pair.near.entered():
            outcomes = sweep_connects([*doors, ConnectTarget("192.0.2.1", 80)], timeout_ns=300_000_000)
            many = sweep_connects([ConnectTarget(f"10.9.0.{host}", 80) for host in range(1, 201)], at_once=64)
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [Reached, Refused, TimedOut, Rejected] * 2 + [NotMeasured]
        assert outcomes[3] == Rejected(FAR_V4, 3, 13)
        assert outcomes[7] == Rejected(FAR_V6, 1, 1)
        assert {type(outcome) for outcome in many} == {Reached}
