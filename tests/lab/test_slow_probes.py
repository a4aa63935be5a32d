"""Marks that patient questions set, on real packets through a real stateful router.

a (prod/w1/pod) ── r ── b (dev/w1/pod)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netprobe.analysis.queries.slow_probes import (
    CONNECTS,
    SHORT_NS,
    ProbePath,
    ProbeResult,
    read_probe_symptoms,
)
from netprobe.model.check import Check, Probe
from netprobe.model.names import NodeId
from netprobe.wire.messages import CheckAnswer
from tests.lab.agents import PORT, make_check
from tests.lab.linear_network import (
    A,
    B,
    Line,
)
from tests.lab.namespaces import need_namespaces
from tests.lab.test_idle import forget

pytestmark = [
    pytest.mark.slow,  # flows stay quiet for seconds, on purpose
    pytest.mark.lab,
    need_namespaces(),
]

B4 = "10.2.0.2"
GATEWAY = NodeId.parse("prod/gw")
IDLE = Probe("idle", port=PORT, timeout_ns=20_000_000_000, options=(("gaps", "1,5"), ("patience", "2000")))
TCP = Probe("tcp", port=PORT, timeout_ns=SHORT_NS)


@pytest.fixture
def scene(linear_network: Line) -> Iterator[Line]:
    yield linear_network
    linear_network.clear()


def ask(scene: Line, probe: Probe, *, count: int = 1) -> tuple[list[str], CheckAnswer]:
    """The rows that the answer leads to, and the answer."""
    check: Check = make_check(A, B4, probe, name=str(B), count=count)
    answer = scene.asker.ask(check)
    told = ProbeResult(check, answer.outcomes, answer.details[0])
    return [found.row.id for found in read_probe_symptoms([told], ProbePath(A, B, GATEWAY))], answer


@pytest.mark.parametrize("probe", [IDLE, TCP], ids=["idle", "tcp"])
def test_where_nothing_is_wrong_no_mark_is_set(scene: Line, probe: Probe) -> None:
    rows, answer = ask(scene, probe, count=CONNECTS if probe is TCP else 1)
    assert rows == [], answer


@pytest.mark.parametrize("verdict", ["drop", "reject with tcp reset"])
def test_idle_timeout_a_router_that_forgets_quiet_flows(scene: Line, verdict: str) -> None:
    forget(scene.r, verdict)
    rows, answer = ask(scene, IDLE)
    assert rows == ["idle-timeout"], answer


def test_port_collision_a_router_that_loses_every_fifth_first_packet_of_a_connection(scene: Line) -> None:
    """As where two connections would get the same source port: the later one loses its first packet."""
    scene.r.nft("add rule inet test forward tcp flags & (syn | ack) == syn numgen inc mod 5 0 drop")
    rows, answer = ask(scene, TCP, count=CONNECTS)
    assert rows == ["snat-port-collision"], answer
