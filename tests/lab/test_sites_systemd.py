"""Our agent as a unit of a real systemd: deployed over a real sshd, restarted, booted, removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from netprobe.model.inventory import Cluster, Inventory, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName
from netprobe.model.ssh import SshAccess
from tests.lab.machine import Machine, need_systemd
from tests.lab.namespaces import Namespaces
from tests.lab.operator_host import (
    OperatorHost,
    is_arriving,
    leftovers,
    slowed,
)
from tests.lab.sshd import Keys
from tests.patience import wait_until

pytestmark = [
    pytest.mark.slow,  # machines boot systemd and lose their power
    *need_systemd(),
    pytest.mark.timeout(900),
]

UNIT = "netprobe-agent.service"
HOME, SPOOL = "/var/lib/netprobe-agent", "/var/lib/private/netprobe-agent-spool"


@dataclass
class Site(OperatorHost):
    """ops (with the hub) – gw, a machine with systemd."""

    gw: Machine

    def is_active(self) -> bool:
        return self.gw.show(UNIT, "ActiveState") == {"ActiveState": "active"}

    def main_pid(self) -> int:
        """The agent's process as the machine counts them; 0 where it does not run."""
        return int(self.gw.show(UNIT, "MainPID")["MainPID"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Namespaces(all_users=True) as network:
        ops, gw = network.host("ops"), network.host("gw")
        network.link(ops, gw, "10.1.0.0/24", "fd00:1::/64")
        keys = Keys(tmp_path_factory.mktemp("keys"))
        machine = Machine(gw, keys, tmp_path_factory.mktemp("disk"))
        try:
            access = SshAccess(machine.hop("10.1.0.2"), agent=False)
            node = Node(NodeName("gw"), NodeRole.GATEWAY, ("10.1.0.2",), ssh=access)
            west = Cluster(ClusterName("west"), (node,), is_site=True)
            yield Site(ops, keys, Inventory((west,), ()), tmp_path_factory.mktemp("desk"), machine)
        finally:
            machine.stop()


def test_power_that_is_cut_half_way_leaves_nothing_on_a_fresh_machine(site: Site) -> None:
    with slowed(site.ops, "to-gw", rate="20mbit"), site.deploying() as half_way:
        wait_until("the archive is arriving", lambda: is_arriving(site.gw))
        site.gw.stop()
        half_way.kill()
    site.gw.boot()
    assert leftovers(site.gw) == []
    assert site.gw.show(UNIT, "LoadState") == {"LoadState": "not-found"}


def test_a_unit_is_deployed_and_its_agent_reports(site: Site) -> None:
    code, told, complaint = site.netprobe(*site.deploy())
    assert code == 0, told + complaint
    assert "systemd unit" in told
    assert site.is_active()
    with site.running(*site.collector(), log="collector"):
        wait_until("the agent speaks", lambda: site.speaking() == {"west/gw/host"})


def test_its_agent_may_do_nothing_but_raw_sockets(site: Site) -> None:
    told = site.gw.on(f"cat /proc/{site.main_pid()}/status")
    status = dict(line.split(":\t", 1) for line in told.splitlines())
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {f"{1 << 13:016x}"}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert "0" not in status["Uid"].split()


def test_its_key_is_in_no_file_that_others_read_and_in_no_journal(site: Site) -> None:
    seed = site.gw.on(f"cat {HOME}/seed").strip()
    assert site.gw.on(f"stat -c '%a %u' {HOME}/seed").split() == ["600", "0"]
    told = site.gw.on(f"systemctl show {UNIT}; journalctl --no-pager; cat /proc/[0-9]*/cmdline")
    assert "netprobe-agent" in told
    assert seed not in told


def test_a_killed_agent_is_started_again(site: Site) -> None:
    before = site.main_pid()
    assert before > 1
    site.gw.on(f"kill -s KILL {before}")
    wait_until("another agent runs", lambda: site.is_active() and site.main_pid() not in (before, 0))
    assert int(site.gw.show(UNIT, "NRestarts")["NRestarts"]) >= 1


def test_it_runs_again_after_a_power_cut_and_so_does_the_old_one_after_one_half_way(site: Site) -> None:
    facts = site.gw.on(f"cat {HOME}/facts")
    with slowed(site.ops, "to-gw", rate="20mbit"), site.deploying() as half_way:
        wait_until("the archive is arriving", lambda: is_arriving(site.gw))
        site.gw.stop()
        half_way.kill()
    site.gw.boot()
    wait_until("the agent runs", site.is_active)
    assert site.gw.on(f"cat {HOME}/facts") == facts
    assert site.gw.on("ls -d /run/netprobe-agent.* 2>/dev/null || :") == ""
    code, told, complaint = site.netprobe("sites", "status", "--inventory", str(site.path), "-o", "json")
    assert code == 0, told + complaint
    assert json.loads(told)["hosts"][0]["agent"]["runs"] == "systemd"


def test_removal_leaves_no_unit_and_no_file(site: Site) -> None:
    pid = site.main_pid()
    code, told, complaint = site.netprobe("sites", "remove", "--inventory", str(site.path))
    assert code == 0, told + complaint
    assert site.gw.show(UNIT, "LoadState", "ActiveState") == {
        "LoadState": "not-found",
        "ActiveState": "inactive",
    }
    assert site.gw.on(f"cat /proc/{pid}/cmdline 2>/dev/null || :") == ""
    left = site.gw.on("ls -A /var/lib /var/lib/private /etc/systemd/system; ls -d /run/netprobe* || :")
    assert "netprobe" not in left
