"""A plain host over SSH and the nodes of a cluster ask each other, and an intent holds between them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from netprobe.bus.keys import new_user, write_seed
from netprobe.model.inventory import Cluster, Inventory, Link, LinkKind, Node, NodeRole
from netprobe.model.names import ClusterName, NodeName
from netprobe.model.ssh import SshAccess
from netprobe.workflows.host_deployment import add_key
from tests.lab.namespaces import Host, Namespaces
from tests.lab.operator_host import OperatorHost
from tests.lab.sshd import Keys, Server, need_sshd
from tests.patience import wait_until

pytestmark = [
    pytest.mark.slow,  # agents are installed over SSH, and a tunnel is cut
    *need_sshd(),
    pytest.mark.timeout(900),
]

DEPOT, PROD, BOX, W1 = ClusterName("depot"), ClusterName("prod"), NodeName("box"), NodeName("w1")
_SERVE = (sys.executable, "-c", "from netprobe_agent.main import main; main()", "serve")


@dataclass
class Meeting(OperatorHost):
    """ops (with the hub) – box (a site) – node (of a cluster) – pod."""

    box: Server
    node: Host
    pod: Host


@pytest.fixture(scope="module")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meeting]:
    with Namespaces(all_users=True) as network:
        ops, box, node, pod = (network.host(name) for name in ("ops", "box", "node", "pod"))
        network.link(ops, box, "10.1.0.0/24", "fd00:1::/64")
        network.link(box, node, "10.2.0.0/24", "fd00:2::/64")
        network.link(node, pod, "10.9.0.0/24", "fd00:9::/64")
        for host, router in ((ops, box), (node, box), (pod, node)):
            host.default_via(router)
        for router in (box, node):
            router.forward()
        box.ip("route add 10.9.0.0/24 via 10.2.0.2\n")
        ops.settle("10.1.0.2", "10.2.0.2", "10.9.0.2")
        keys = Keys(tmp_path_factory.mktemp("keys"))
        server = Server(box, keys, before="mount -t tmpfs lib /var/lib")
        yield Meeting(ops, keys, _inventory(server), tmp_path_factory.mktemp("meeting"), server, node, pod)
        server.stop()


def _inventory(box: Server) -> Inventory:
    access = SshAccess(box.hop("10.1.0.2"), agent=False)
    depot = Cluster(DEPOT, (Node(BOX, NodeRole.GATEWAY, ("10.2.0.1",), ssh=access),), is_site=True)
    w1 = Node(W1, NodeRole.GATEWAY, ("10.2.0.2",), ("10.9.0.2",), pod_cidrs=("10.9.0.0/24",))
    prod = Cluster(PROD, (w1,), pod_cidrs=("10.9.0.0/24",))
    return Inventory((depot, prod), (Link(DEPOT, PROD, LinkKind.DIRECT, "direct", BOX, W1),))


@contextmanager
def serving(meeting: Meeting, host: Host, plane: str, address: str) -> Iterator[None]:
    """The agent of one plane of the cluster's node, as its DaemonSet would run it."""
    name, folder = f"prod/w1/{plane}", meeting.folder / plane
    folder.mkdir()
    seed, public = new_user()
    write_seed(folder / "seed", seed)
    add_key(meeting.bus_keys, {name: public})
    words = ["--agent", name, *meeting.on_bus[:4], "--seed", str(folder / "seed"), "--address", address]
    with (folder / "log").open("w") as log:
        process = host.popen(*_SERVE, *words, "--spool", str(folder / "spool"), stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def test_a_host_of_a_site_and_a_node_of_a_cluster_ask_each_other(meeting: Meeting) -> None:
    code, told, complaint = meeting.netprobe(*meeting.deploy())
    assert code == 0, told + complaint
    with ExitStack() as stack:
        stack.enter_context(serving(meeting, meeting.node, "host", "10.2.0.2"))
        stack.enter_context(serving(meeting, meeting.pod, "pod", "10.9.0.2"))
        stack.enter_context(meeting.running(*meeting.collector(), log="collector"))
        agents = {"depot/box/host", "prod/w1/host", "prod/w1/pod"}
        wait_until("all agents speak", lambda: meeting.speaking() == agents)
        _check_both_ways(meeting)
        _verify_both_ways(meeting)
        _name_a_cut(meeting)


def _check_both_ways(meeting: Meeting) -> None:
    for source, target in (("depot/box", "prod/w1"), ("prod/w1", "depot/box")):
        code, told, complaint = meeting.netprobe("check", source, target, *meeting.on_bus)
        assert code == 0, told + complaint
        assert f"asked {target}" in told
        assert max(map(len, told.splitlines())) <= 80


def _verify_both_ways(meeting: Meeting) -> None:
    path = meeting.folder / "intent.yaml"
    path.write_text(
        "version: 1\n"
        "groups: {depot: {clusters: [depot]}, prod: {clusters: [prod]}}\n"
        "rules:\n"
        "  - {verdict: allow, from: depot, to: prod, ports: [icmp, tcp/9771]}\n"
        "  - {verdict: deny, from: prod, to: depot, ports: [tcp/9771]}\n"
    )
    code, told, _ = meeting.netprobe("verify", "-f", str(path), "-o", "json", *meeting.on_bus)
    assert code == 1, told
    cells = json.loads(told)["cells"]
    verdicts = {(cell["source"].split("/")[0], cell["verdict"]) for cell in cells}
    assert verdicts == {("depot", "as intended"), ("prod", "leak")}


def _name_a_cut(meeting: Meeting) -> None:
    """A broken line between the site and the cluster is a finding like any other."""
    meeting.node.nft("add rule inet test input iifname to-box udp dport 9771 drop",
                     "add rule inet test forward iifname to-box udp dport 9771 drop")  # fmt: skip
    try:
        wait_until("the cut is found", lambda: _findings(meeting))
    finally:
        meeting.node.nft()
    wait_until("it is healthy again", lambda: _findings(meeting) == [])


def _findings(meeting: Meeting) -> list[str] | None:
    code, told, _ = meeting.netprobe("show", "findings", *meeting.on_bus, "-o", "json")
    if code not in (0, 1):
        return None
    return [finding["cause"] for finding in json.loads(told)["findings"]]
