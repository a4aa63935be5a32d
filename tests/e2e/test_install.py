"""Install, status and uninstall on real API servers; what a kubelet would say of the pods, the test says."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from netprobe.collector.registry import ClusterRegistry, RegisteredCluster
from netprobe.collector.token_renewal import keep_in_secret, keep_kubeconfig, renew_token
from netprobe.deploy.install.objects import READER_TOKEN_S, cluster_wide, everything
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi, open_api
from netprobe.discovery.k8s.collection_watch import WatchSettings
from netprobe.discovery.k8s.facts import watched_kinds
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.discovery.k8s.schema import Named
from netprobe.discovery.k8s.token_request import read_span
from netprobe.discovery.k8s.watch import ClusterWatch, WatchedCluster
from netprobe.errors import NetprobeError
from netprobe.model.names import ClusterName
from tests.e2e.cluster.client import Clusters
from tests.e2e.test_clusters import PROD, STAGING, node, run

pytestmark = pytest.mark.timeout(400)
BUS = "tls://192.0.2.9:4222"
BOTH = ("--context", PROD, "--context", STAGING)


PODS = "/api/v1/namespaces/netprobe/pods"


class Kubelets:
    """Says of every pod of ours that it runs, or why it does not, as the nodes' kubelets would."""

    def __init__(self, clusters: Clusters, context: str) -> None:
        self._context = read_contexts([clusters.kubeconfigs[context]]).choose()[0]
        self.waiting = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Kubelets:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        async with open_api(self._context) as api:
            while not self._stop.is_set():
                with suppress(NetprobeError):  # a pod went away in between
                    for pod in (await api.get(PODS, dict[str, Any]))["items"]:
                        await self._tell(api, pod)
                await asyncio.sleep(0.2)

    async def _tell(self, api: ClusterApi, pod: Mapping[str, Any]) -> None:
        path = f"{PODS}/{pod['metadata']['name']}"
        if pod["metadata"].get("deletionTimestamp"):
            await api.delete(f"{path}?gracePeriodSeconds=0")
        elif not pod["status"].get("containerStatuses"):
            meta = {"name": pod["metadata"]["name"], "namespace": "netprobe"}
            told = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": self._status(pod)}
            await api.apply(f"{path}/status", told, Named)

    def _status(self, pod: Mapping[str, Any]) -> dict[str, object]:
        state: dict[str, object] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        if self.waiting:
            state = {"waiting": {"reason": self.waiting, "message": "no such image"}}
        told = {"image": "netprobe-agent:0.1.0", "imageID": "", "ready": not self.waiting, "restartCount": 0}
        names = [container["name"] for container in pod["spec"]["containers"]]
        return {
            "phase": "Pending" if self.waiting else "Running",
            "podIPs": [{"ip": "10.41.7.7"}],
            "conditions": [{"type": "Ready", "status": "False" if self.waiting else "True"}],
            "containerStatuses": [{"name": name, "state": state, **told} for name in names],
        }


@pytest.fixture
def fleet(clusters: Clusters) -> Iterator[Clusters]:
    """Two clusters of one made-up node each, without netprobe, before and after."""
    for context in (PROD, STAGING):
        clusters.end_namespace(context)
        clusters.apply(context, node("i1", "10.250.55.1"))
    yield clusters
    for context in (PROD, STAGING):
        clusters.kubectl(context, "delete", "node", "i1")
        clusters.end_namespace(context)
        policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
        rights = (f"clusterroles,clusterrolebindings,{policies}", "-l", "app.kubernetes.io/part-of=netprobe")
        clusters.kubectl(context, "delete", *rights)  # of a test that failed half-way


def do(clusters: Clusters, *words: str) -> Result:
    """A command with images that no node has to pull here: a test says what kubelets would say."""
    images = {"NETPROBE_AGENT_IMAGE": "netprobe.test/a:1", "NETPROBE_COLLECTOR_IMAGE": "netprobe.test/c:1"}
    return run(*words, env={"KUBECONFIG": clusters.environment, **images})


@contextmanager
def kubelets(clusters: Clusters) -> Iterator[tuple[Kubelets, Kubelets]]:
    with Kubelets(clusters, PROD) as one, Kubelets(clusters, STAGING) as other:
        yield one, other


def left_behind(clusters: Clusters, context: str) -> list[str]:
    """Names of everything of ours that there still is."""
    kinds = "clusterroles,clusterrolebindings,namespaces,priorityclasses,validatingadmissionpolicies"
    found = clusters.kubectl(context, "get", kinds, "-o", "name").split()
    return [name for name in found if "netprobe" in name]


def test_two_clusters_are_installed_looked_at_and_left_as_they_were(fleet: Clusters, tmp_path: Path) -> None:
    with kubelets(fleet):
        result = do(fleet, "install", *BOTH, "--hub", PROD, "--bus", BUS, "--timeout", "200")
        assert result.exit_code == 0, (result.output, result.exception)
        # Other tests may have left nodes of theirs.
        all_report = rf"{PROD}: agent-pod (\d+)/\1, agent-host (\d+)/\2, collector 1/1\n"
        assert re.search(all_report, result.output), result.output
        again = do(fleet, "install", *BOTH, "--hub", PROD, "--bus", BUS, "--timeout", "200")
        assert again.exit_code == 0, again.output
        told = do(fleet, "status", *BOTH, "--timeout", "100", "-o", "json")
        assert told.exit_code == 0, told.output
        assert [one["good"] for one in json.loads(told.output)["clusters"]] == [True, True]
        expect_registered(fleet, tmp_path / "clusters")
        expect_kept(fleet, tmp_path / "collector")
        fleet.kubectl(STAGING, "-n", "netprobe", "delete", "daemonset", "netprobe-agent-host")
        half = do(fleet, "status", "--context", STAGING, "--timeout", "100")
        assert (half.exit_code, "missing: DaemonSet netprobe-agent-host" in half.output) == (1, True)
        assert "half-installed: run `netprobe install` again" in half.output
        gone = do(fleet, "uninstall", *BOTH)
        assert gone.exit_code == 0, gone.output
    assert [left_behind(fleet, context) for context in (PROD, STAGING)] == [[], []]
    assert do(fleet, "uninstall", *BOTH).output.count("nothing was installed") == 2
    assert do(fleet, "status", *BOTH, "--timeout", "100").output.count("not installed") == 2


def test_components_are_installed_with_it_and_leave_with_it(fleet: Clusters) -> None:
    words = [word for name in ("availability", "network-policy", "flat") for word in ("--with", name)]
    with kubelets(fleet):
        result = do(fleet, "install", "--context", PROD, *words, "--timeout", "200")
        assert result.exit_code == 0, (result.output, result.exception)
        found = json.loads(fleet.kubectl(PROD, "-n", "netprobe", "get", "deployment", "-o", "json"))["items"][
            0
        ]
        pod = found["spec"]["template"]["spec"]
        assert pod["priorityClassName"] == "netprobe"
        assert "--flat" in pod["containers"][0]["args"]
        assert "netprobe-agent" in fleet.kubectl(
            PROD, "-n", "netprobe", "get", "networkpolicies", "-o", "name"
        )
        assert do(fleet, "uninstall", "--context", PROD).exit_code == 0
    assert left_behind(fleet, PROD) == []


def test_a_component_that_the_cluster_does_not_know_is_refused_before_anything_is_made(
    fleet: Clusters,
) -> None:
    result = do(fleet, "install", "--context", PROD, "--with", "service-monitor")
    told = "it does not know servicemonitors.monitoring.coreos.com: install their operator first"
    assert told in str(result.exception)
    assert left_behind(fleet, PROD) == []


def expect_registered(clusters: Clusters, folder: Path) -> None:
    """What the hub's collector finds in its Secret leads to both clusters, with rights that are exact."""
    secret = json.loads(
        clusters.kubectl(PROD, "-n", "netprobe", "get", "secret", "netprobe-clusters", "-o", "json")
    )
    folder.mkdir()
    for name, value in secret["data"].items():
        (folder / name).write_bytes(base64.b64decode(value))
    hub, spoke = ClusterRegistry(folder).read()
    assert (hub.name, spoke.name) == (PROD, STAGING)
    assert hub.trusted.keys
    assert spoke.trusted.issuer.endswith(STAGING)
    assert hub.access is not None
    assert hub.access.file is None  # the collector stands in that cluster
    assert spoke.access is not None
    asyncio.run(expect_exact_rights(spoke.access))
    asyncio.run(expect_renewal(spoke))


def expect_kept(clusters: Clusters, at: Path) -> None:
    """The collector's own account may change one Secret of the hub, and neither read nor change others."""
    token = clusters.kubectl(PROD, "-n", "netprobe", "create", "token", "netprobe-collector").strip()
    context = read_contexts([_changed(clusters, at, "collector", token=token)]).choose()[0]

    async def keep() -> None:
        async with open_api(context) as hub:
            await keep_in_secret(hub, f"{STAGING}.kubeconfig", "renewed")
            for name in ("netprobe-operators", "netprobe-bus-authority"):
                secret = f"/api/v1/namespaces/netprobe/secrets/{name}"
                with pytest.raises(ApiRefusedError, match="not allowed"):
                    await hub.merge(secret, {"data": {"x": "eA=="}}, Named)
                with pytest.raises(ApiRefusedError, match="not allowed"):
                    await hub.get(secret, Named)

    asyncio.run(keep())
    secret = ("-n", "netprobe", "get", "secret", "netprobe-clusters", "-o", "json")
    data = json.loads(clusters.kubectl(PROD, *secret))["data"]
    assert base64.b64decode(data[f"{STAGING}.kubeconfig"]) == b"renewed"
    assert f"{PROD}.yaml" in data


class Recording(ClusterApi):
    """Remembers what it was asked for, as verb and path."""

    asked: set[tuple[str, str]]

    async def _send(self, method: str, path: str, query: Mapping[str, str | int], *rest: Any) -> Any:
        verb = "watch" if "watch" in query else "get" if "clusterproperties" in path else "list"
        self.asked.add((verb, path.rstrip("/").split("/")[-1]))
        return await super()._send(method, path, query, *rest)


async def expect_exact_rights(access: Any) -> None:
    """Each granted verb is used by what the collector does, and nothing else is granted."""
    async with open_api(access) as opened:
        api = Recording(access, opened._client)
        api.asked = set()
        heard = asyncio.Event()

        def hear(watched: WatchedCluster) -> None:
            assert watched.facts.unread == ()
            heard.set()

        watch = asyncio.ensure_future(
            ClusterWatch(
                api,
                ClusterName("x"),
                hear,
                pace=WatchSettings(settle_s=0.05),
                kinds=watched_kinds("netprobe"),
            ).run()
        )
        async with asyncio.timeout(60):
            await heard.wait()
            while len({what for verb, what in api.asked if verb == "watch"}) < len(watched_kinds("")):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        granted = await _granted(opened)
    used = {(verb, what) for verb, what in api.asked if what not in {"version", "apis"}}
    # The identity is read where the About API is served, which it is not here; a token is renewed daily.
    assert granted - used == {("get", "clusterproperties"), ("create", "serviceaccounts/token")}
    assert used <= granted


async def expect_renewal(spoke: RegisteredCluster) -> None:
    """With its token the hub gets the next one, for the same account and for no other."""
    access = spoke.access
    assert access is not None
    assert access.file is not None
    before = access.file.read_text()
    in_two_days_s = time.time() + 2 * 24 * 3_600
    async with open_api(access) as api:
        for account in ("netprobe-agent-pod", spoke.account):
            asking = renew_token(
                api, access.file, account, namespace="netprobe", keep=keep_kubeconfig, now_s=in_two_days_s
            )
            if account != spoke.account:
                with pytest.raises(ApiRefusedError, match="not allowed"):
                    await asking
                assert access.file.read_text() == before
            else:
                assert await asking
    assert access.file.read_text() != before
    span = read_span(json.loads(access.file.read_text())["users"][0]["user"]["token"])
    assert span is not None
    assert span.ends_s - span.begins_s <= READER_TOKEN_S
    async with open_api(access) as api:
        await api.list("/api/v1/namespaces/netprobe/pods", Named)
        with pytest.raises(ApiRefusedError, match="not allowed"):
            await api.list("/api/v1/pods", Named)


async def _granted(api: ClusterApi) -> set[tuple[str, str]]:
    """What the account may do beside what everybody may: ask about itself."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "netprobe"},
    }
    told = await api.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review, dict[str, Any])
    return {
        (verb, resource)
        for rule in told["status"]["resourceRules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
        if not resource.startswith("selfsubject")
    }


def test_an_image_that_cannot_be_pulled_is_said_and_can_be_taken_away(fleet: Clusters) -> None:
    with kubelets(fleet) as (one, _):
        one.waiting = "ErrImagePull"
        result = do(fleet, "install", "--context", PROD, "--timeout", "100")
        assert result.exit_code == 1
        line = f"netprobe: {PROD}: half-installed: netprobe-"
        assert line in result.output
        assert "the image cannot be pulled: name one that nodes can reach (--agent-image" in result.output
        assert do(fleet, "uninstall", "--context", PROD).exit_code == 0
    assert left_behind(fleet, PROD) == []


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_nothing_is_changed_where_one_cluster_does_not_let_us(
    fleet: Clusters, tmp_path: Path, verb: str
) -> None:
    words = (verb, "--kubeconfig", str(fleet.kubeconfigs[PROD]), "--context", PROD)
    for name, change, complaint in (
        ("away", {"server": "https://127.0.0.1:1"}, "127.0.0.1:1 cannot be reached: Connection refused"),
        ("expired", {"token": "expired"}, "the server does not accept the credentials (expired or revoked?)"),
        ("poor", {"token": _poor_token(fleet)}, "ask its administrator for it, or to do it for you"),
        ("twin", {}, f"is the same cluster as context {PROD!r}"),
    ):  # fmt: skip
        file = _changed(fleet, tmp_path / name, name, **change)
        result = do(fleet, *words, "--kubeconfig", str(file), "--context", name)
        assert result.exit_code in {1, 2}
        assert complaint in str(result.exception) + result.output
        assert "\n" not in str(result.exception)
    result = do(fleet, verb, "--context", "absent")
    assert "no context is called 'absent'; there are: " in str(result.exception)
    assert left_behind(fleet, PROD) == []


def test_a_namespace_that_somebody_else_made_is_left_alone(fleet: Clusters) -> None:
    fleet.kubectl(PROD, "create", "namespace", "netprobe")
    for verb in ("install", "uninstall"):
        result = do(fleet, verb, "--context", PROD)
        assert "a namespace netprobe is there that netprobe did not make" in str(result.exception)
    assert left_behind(fleet, PROD) == ["namespace/netprobe"]


def _poor_token(clusters: Clusters) -> str:
    return clusters.kubectl(PROD, "create", "token", "default").strip()


def _changed(clusters: Clusters, at: Path, name: str, **change: str) -> Path:
    """A kubeconfig like that of PROD, under another name, with another server or token."""
    config = json.loads(clusters.kubeconfigs[PROD].read_text())
    config["contexts"][0]["name"] = config["current-context"] = name
    if "server" in change:
        config["clusters"][0]["cluster"]["server"] = change["server"]
    if "token" in change:
        config["users"][0]["user"] = {"token": change["token"]}
    at.write_text(json.dumps(config))
    return at


def test_every_object_passes_the_server_and_kustomize_renders_the_same(fleet: Clusters) -> None:
    base = Path(__file__).parents[2] / "manifests" / "base"
    rendered = ""
    for part in ("agent", "reader", "collector"):
        rendered += fleet.kubectl(PROD, "kustomize", str(base / part)) + "---\n"
    kinds = [line for line in rendered.splitlines() if line.startswith("kind: ")]
    assert sorted(kinds) == sorted(f"kind: {found['kind']}" for found in everything())
    fleet.kubectl(PROD, "create", "namespace", "netprobe")
    fleet.kubectl(
        PROD, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", given=rendered
    )
    assert {found["kind"] for found in cluster_wide(everything())} == {
        "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    }  # fmt: skip
