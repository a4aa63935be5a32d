"""An intent asked of agents over pod exec: real agents and packets, a real WebSocket, no cluster.

east/n1 (a) ── r ── (b) west/n1
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from netprobe.analysis.intent.document import read_intent
from netprobe.discovery.inventory.flat_mesh import join_flat
from netprobe.discovery.k8s.pod_exec import ExecStream, PodContainer, run_in_pod
from netprobe.errors import InputError
from netprobe.model.intent import CellResult, LocateDrops
from netprobe.model.inventory import Cluster, Inventory, Node
from netprobe.model.names import AgentId, ClusterName, NodeName
from netprobe.workflows.verification_request import VerifyRequest
from netprobe.workflows.visit.session import VisitSettings
from netprobe.workflows.visit.verification import VisitVerification, ask_agents
from tests.lab.namespaces import Host, Namespaces, need_namespaces
from tests.lab.pods import serve_pods

pytestmark = [pytest.mark.lab, need_namespaces(), pytest.mark.timeout(180)]
TODAY = dt.date(2026, 11, 25)
EAST, WEST = AgentId.parse("east/n1/host"), AgentId.parse("west/n1/host")
SETTINGS = VisitSettings("none", interval_ns=500_000_000)
GROUPS = "version: 1\ngroups: {east: {clusters: [east]}, west: {clusters: [west]}}\n"
OPEN = "{name: open, verdict: allow, from: east, to: west, ports: [icmp, tcp/9771, udp/9771]}"
SHUT = "{name: shut, verdict: deny, from: west, to: east, ports: [tcp/9771]}"
ECHO = "{name: echo, verdict: allow, from: west, to: east, ports: [icmp]}"


WITHOUT_NET_RAW = ("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-all")


@pytest.fixture(scope="module")
def hosts() -> Iterator[dict[str, Host]]:
    with Namespaces() as network:
        a, r, b = (network.host(name) for name in "arb")
        network.link(a, r, "10.1.0.0/24", "fd00:1::/64")
        network.link(r, b, "10.2.0.0/24", "fd00:2::/64")
        r.forward()
        a.default_via(r)
        b.default_via(r)
        a.settle("10.2.0.2")
        yield {"a": a, "r": r, "b": b}


@pytest.fixture
def router(hosts: dict[str, Host]) -> Iterator[Host]:
    yield hosts["r"]
    hosts["r"].nft()


def inventory() -> Inventory:
    east, west = (
        Cluster(ClusterName(name), (Node(NodeName("n1"), host_addresses=(address,)),))
        for name, address in (("east", "10.1.0.1"), ("west", "10.2.0.2"))
    )
    return join_flat(Inventory(clusters=(east, west)))


async def look(
    hosts: dict[str, Host], tmp_path: Path, *rules: str, missing: str = "", within: tuple[str, ...] = ()
) -> VisitVerification:
    """Ask agents in ``a`` and ``b``, of which one may be *missing*; they run *within* a command."""
    intent = read_intent(f"{GROUPS}rules: [{', '.join(rules)}]", source="t", today=TODAY)
    terms = VerifyRequest(Path("t"), intent, None, LocateDrops.DIFFERING, "key")
    pods = {name: hosts[name] for name in "ab" if name != missing}
    async with serve_pods(pods, folder=tmp_path, within=within) as api:

        def talk_to(agent: AgentId) -> AbstractAsyncContextManager[ExecStream]:
            place = PodContainer("visit", "a" if agent == EAST else "b", "agent")
            words = ("python3", "-m", "netprobe_agent", "stream", f"--agent={agent}", "--port=9771")
            return run_in_pod(api, place, words)

        return await ask_agents(inventory(), (EAST, WEST), talk_to, SETTINGS, terms, print)


def by_door(looked: VisitVerification) -> dict[str, CellResult]:
    return {f"{one.cell.source.cluster} {one.cell.door}": one for one in looked.judged}


def verdicts(looked: VisitVerification) -> dict[str, str]:
    return {door: str(one.verdict) for door, one in by_door(looked).items()}


async def test_what_holds_is_as_intended(hosts: dict[str, Host], router: Host, tmp_path: Path) -> None:
    router.nft("add rule inet test forward ip daddr 10.1.0.1 tcp dport 9771 drop")
    looked = await look(hosts, tmp_path, OPEN, SHUT, ECHO)
    doors = ("east icmp", "east tcp/9771", "east udp/9771", "west icmp", "west tcp/9771")
    assert verdicts(looked) == dict.fromkeys(doors, "as intended")
    assert looked.untested == ()


@pytest.mark.parametrize("within", [(), WITHOUT_NET_RAW], ids=["raw", "restricted"])
async def test_a_drop_is_walked_to_its_hop_and_an_open_door_is_a_leak(
    hosts: dict[str, Host], router: Host, tmp_path: Path, within: tuple[str, ...]
) -> None:
    """Agents of the pod plane have no NET_RAW and may only open ping sockets."""
    for name in "ab":
        hosts[name].set_sysctls({"ipv4/ping_group_range": "0 0"})
    router.nft("add rule inet test forward ip daddr 10.2.0.2 tcp dport 9771 drop")
    told = by_door(await look(hosts, tmp_path, OPEN, SHUT, ECHO, within=within))
    assert str(told["west tcp/9771"].verdict) == "leak"
    dropped = told["east tcp/9771"]
    assert (str(dropped.verdict), dropped.between) == ("broken", ("10.1.0.2", "10.2.0.2"))
    assert str(told["east udp/9771"].verdict) == "as intended"


async def test_an_agent_that_cannot_be_run_leaves_unproven_only_what_needs_it(
    hosts: dict[str, Host], router: Host, tmp_path: Path
) -> None:
    del router
    looked = await look(hosts, tmp_path, OPEN, SHUT, ECHO, missing="b")
    told = by_door(looked)
    assert verdicts(looked) == {
        "east icmp": "as intended", "east tcp/9771": "unproven", "east udp/9771": "unproven",
        "west icmp": "unproven", "west tcp/9771": "unproven",
    }  # fmt: skip
    (line,) = looked.untested
    assert line.startswith(f"{WEST}: ")
    assert "there is no /api/v1/namespaces/visit/pods/b/exec" in line
    assert str(told["west icmp"].reason).startswith(f"the agent {WEST} is absent: ")


async def test_an_intent_that_means_nobody_is_one_error(hosts: dict[str, Host], tmp_path: Path) -> None:
    elsewhere = "{verdict: allow, from: services, to: services, ports: [icmp]}"
    with pytest.raises(InputError, match="t: matches no agent in this fleet"):
        await look(hosts, tmp_path, elsewhere)
