"""ESP to a real gateway whose counters are read over a real sshd: arrived at a rule, lost on the way, unread.

a (prod/w1/host) ── b (dev/w1/outer). A kernel may have no ESP of its own, so what IPsec counts is read from
text in ``tests/unit/workflows/test_esp_arrival.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from netprobe.craft.kind import Counted, CraftVerdict, Silent
from netprobe.craft.registry import find_craft_kind
from netprobe.model.check import Check
from netprobe.model.gateway import RuleCounter
from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import ClusterName, NodeName
from netprobe.model.ssh import SshAccess, SshHop
from netprobe.wire.messages import CheckAnswer
from netprobe.workflows.check_target import CheckRequest
from netprobe.workflows.crafted_check import make_crafted
from netprobe.workflows.esp_arrival import ask_and_read, find_far_gateway, judge_counters
from tests.lab.agent_asker import Asker
from tests.lab.namespaces import Host, Namespaces
from tests.lab.sshd import Door, Keys, need_sshd

pytestmark = [pytest.mark.lab, pytest.mark.slow, *need_sshd()]  # an sshd starts, and silence is waited for


@dataclass
class Gateways:
    """Both ends, and how the far one is reached."""

    a: Host
    b: Host
    asker: Asker
    hop: SshHop

    def check(self, hop: SshHop | None = None) -> CraftVerdict:
        """What a check says, its counters read through *hop*."""
        near = Node(NodeName("w1"), host_addresses=("10.1.0.1",))
        far = Node(NodeName("w1"), outer_addresses=("10.1.0.2",), ssh=SshAccess(hop or self.hop, agent=False))
        inventory = Inventory((Cluster(ClusterName("prod"), (near,)), Cluster(ClusterName("dev"), (far,))))
        kind = find_craft_kind("esp")
        assert kind is not None
        wanted = CheckRequest(kind="esp", timeout_s=0.5)
        crafted = make_crafted(
            inventory, "prod/w1/host", "dev/w1/outer", wanted, kind, token=bytes(range(1, 33))
        )
        gateway = find_far_gateway(inventory, crafted.check)
        assert gateway is not None

        async def ask(check: Check) -> CheckAnswer:
            return await asyncio.to_thread(self.asker.ask, check)

        answer, readings = asyncio.run(ask_and_read(ask, crafted.check, gateway))
        verdict = crafted.judge(answer)
        return judge_counters(verdict, readings, sent=8) if readings else verdict


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with Namespaces(all_users=True) as network:
        a, b = network.host("a"), network.host("b")
        network.link(a, b, "10.1.0.0/24", "fd00:1::/64")
        keys = Keys(tmp_path_factory.mktemp("keys"))
        with closing(Door(b.command(), keys, "b")) as door, Asker(a) as asker:
            yield Gateways(a, b, asker, door.hop())


def test_a_rule_of_the_far_gateway_that_took_all_of_them_is_named(ends: Gateways) -> None:
    ends.b.nft("add rule inet test input ip protocol esp counter drop")
    told = ends.check()
    assert isinstance(told, Counted), told
    assert told.sent == 8
    assert not told.has_arrived
    (rule,) = told.counters
    assert isinstance(rule, RuleCounter)
    assert (rule.place, rule.verdict, rule.packets) == ("inet test input", "drop", 8)


def test_no_counter_grows_where_they_are_lost_before_any(ends: Gateways) -> None:
    ends.b.nft(
        "add chain inet test early { type filter hook prerouting priority -300; }",
        "add rule inet test early ip protocol esp drop",
        "add rule inet test input ip protocol esp counter drop",
    )
    told = ends.check()
    assert isinstance(told, Counted), told
    assert (told.sent, told.counters) == (8, ())


def test_a_gateway_that_lets_nobody_in_leaves_the_silence_inconclusive(
    ends: Gateways, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends.b.nft("add rule inet test input ip protocol esp counter drop")
    stranger = replace(ends.hop, key=str(Keys(tmp_path).client))
    told = ends.check(stranger)
    assert isinstance(told, Silent), told
    assert "inconclusive" in told.hint
    assert "the counters of dev/w1 are not known" in capsys.readouterr().err
