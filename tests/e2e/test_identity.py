"""Who may speak on the bus: tokens of real API servers, asked about by a real nats-server."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from netprobe.bus.accounts import accounts
from netprobe.bus.callout import Caller, issuer_key, new_issuer
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin, TokenLogin
from netprobe.bus.server import Callout, Listen, run_server
from netprobe.bus.tokens import Bearer, RefusalReason, TokenRefusal, TrustedCluster
from netprobe.collector.admission import Admission
from netprobe.collector.bus_auth import BusAuth
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.discovery.k8s.token_issuer import read_issuer
from netprobe.errors import SystemRefusedError
from netprobe.model.names import AgentId, ClusterName, NodeName
from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import PROD, STAGING
from tests.e2e.tokens import MadePod, make_namespace, make_pod, make_token

HOUR_NS = 3_600 * 10**9
AGENT = AgentId.parse(f"{PROD}/t1/pod")


@dataclass(frozen=True, slots=True)
class TrustedFleet:
    """Two real clusters, each with an agent's pod; both are trusted."""

    clusters: Clusters
    trusted: tuple[TrustedCluster, ...]
    pod: MadePod
    far: MadePod


async def _trusted(clusters: Clusters, context: str) -> TrustedCluster:
    async with open_api(read_contexts([clusters.kubeconfigs[context]]).choose()[0]) as api:
        issuer = await read_issuer(api)
    return TrustedCluster(ClusterName(context), issuer.name, issuer.keys)


@pytest.fixture(scope="module")
def fleet(clusters: Clusters) -> Iterator[TrustedFleet]:
    for context in (PROD, STAGING):
        make_namespace(clusters, context)
    pod = make_pod(clusters, PROD, "t1", name="agent-t1", address="10.41.9.1")
    far = make_pod(clusters, STAGING, "t1", name="agent-t1", address="10.42.9.1")
    trusted = tuple(asyncio.run(_trusted(clusters, context)) for context in (PROD, STAGING))
    yield TrustedFleet(clusters, trusted, pod, far)
    for context in (PROD, STAGING):
        clusters.kubectl(context, "delete", "node", "t1")
        clusters.end_namespace(context)


def gate_of(fleet: TrustedFleet) -> Admission:
    gate = Admission(fleet.trusted)
    gate.know_pods(ClusterName(PROD), {fleet.pod.uid: NodeName("t1")}, vouched=True)
    return gate


def reason(gate: Admission, agent: AgentId, token: str, *, later_ns: int = 0) -> RefusalReason | None:
    verdict = gate.judge(Caller(agent, token, "192.0.2.1"), now_ns=time.time_ns() + later_ns)
    return verdict.reason if isinstance(verdict, TokenRefusal) else None


def tampered(token: str) -> str:
    """The same token for another node, under the old signature."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["kubernetes.io"]["node"]["name"] = "t2"
    other = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{other}.{signature}"


def test_the_token_of_a_pod_makes_its_agent(fleet: TrustedFleet) -> None:
    verdict = gate_of(fleet).judge(
        Caller(AGENT, make_token(fleet.clusters, fleet.pod), ""), now_ns=time.time_ns()
    )
    assert isinstance(verdict, Bearer)
    assert (verdict.pod.name, verdict.pod.uid) == ("agent-t1", fleet.pod.uid)


def test_each_wrong_token_is_refused_by_its_kind(fleet: TrustedFleet) -> None:
    gate, own, made = gate_of(fleet), fleet.pod, fleet.clusters
    good, far = make_token(made, own), make_token(made, fleet.far)
    other_node, other_plane = AgentId.parse(f"{PROD}/t2/pod"), AgentId.parse(f"{PROD}/t1/host")
    unbound = make_token(made, own, bound=False)
    stranger = make_pod(made, PROD, "t1", name="stranger", address="10.41.9.7", account="other")
    strangers = make_token(made, stranger)
    assert reason(gate, AGENT, good, later_ns=HOUR_NS) is RefusalReason.EXPIRED
    assert reason(gate, AGENT, make_token(made, own, audience="vault")) is RefusalReason.WRONG_AUDIENCE
    assert reason(gate, AGENT, far) is RefusalReason.WRONG_CLUSTER
    assert reason(gate, other_node, good) is RefusalReason.WRONG_NODE
    assert reason(gate, other_plane, good) is RefusalReason.WRONG_ACCOUNT
    assert reason(gate, AGENT, strangers) is RefusalReason.WRONG_ACCOUNT
    assert reason(gate, AGENT, unbound) is RefusalReason.NOT_BOUND
    assert reason(gate, other_node, tampered(good)) is RefusalReason.BAD_SIGNATURE
    assert gate.refused.total() == 8
    only_far = Admission(fleet.trusted[1:])
    assert reason(only_far, AGENT, good) is RefusalReason.UNKNOWN_ISSUER
    made.kubectl(PROD, "delete", "pod", "stranger", "-n", "netprobe", "--force", "--grace-period=0")


@asynccontextmanager
async def bus(directory: Path, gate: Admission) -> AsyncIterator[str]:
    own, issuer = new_user(), new_issuer()
    entries, callout = accounts({}, (), own[1]), Callout(issuer_key(issuer))
    listen = Listen("127.0.0.1", 0)
    async with (
        run_server(listen, directory=directory / "nats", accounts=entries, callout=callout) as server,
        open_collector_bus(server.url, login=SeedLogin(own[0])) as collector,
    ):
        await collector.answer_callouts(issuer_seed=issuer, judge=BusAuth(gate, None).judge)
        yield server.url


async def test_the_bus_lets_in_who_shows_a_good_token_and_nobody_else(
    fleet: TrustedFleet, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(make_token(fleet.clusters, fleet.pod))
    gate = gate_of(fleet)
    async with bus(tmp_path, gate) as url:
        connection = await open_connection(url, login=TokenLogin(AGENT, file), name=str(AGENT))
        await connection.close()
        wrong = AgentId.parse(f"{PROD}/t2/pod")
        with pytest.raises(SystemRefusedError, match="does not know our token"):
            await open_connection(url, login=TokenLogin(wrong, file), name=str(wrong))
        assert (gate.admitted, gate.refused) == (1, {RefusalReason.WRONG_NODE: 1})
