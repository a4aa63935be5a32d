"""Every overlay, as kubectl renders it: what each object must carry, and that its parts fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from netprobe import __version__
from netprobe.bus.collector import _windows_stream
from netprobe.bus.server import MAX_STORE_BYTES
from netprobe.bus.tokens import ACCOUNTS
from netprobe.deploy.install.objects import CLUSTERS_SECRET, METRICS_SECRET, READER
from netprobe.deploy.visit.manifests import ON_LINUX_MACHINES
from netprobe.discovery.k8s.facts import watched_kinds
from netprobe_agent.main import DEFAULT_SPOOL_MIB
from tests.unit.manifests.rendered import (
    HUBS,
    MANIFESTS,
    OVERLAYS,
    WORKLOADS,
    Object,
    containers_of,
    needs_kubectl,
    of_kind,
    pod_of,
    render,
)

pytestmark = needs_kubectl
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
every_hub = pytest.mark.parametrize("overlay", HUBS)
OURS = ("name", "component", "part-of")
FOREIGN = ("monitoring.coreos.com", "cert-manager.io")


def names_of(found: list[Object]) -> set[str]:
    return {one["metadata"]["name"] for one in found}


@every_overlay
def test_every_object_says_whose_it_is(overlay: str) -> None:
    for found in render(overlay):
        labels = found["metadata"]["labels"]
        assert {f"app.kubernetes.io/{key}" for key in OURS} <= set(labels), found["metadata"]
        assert labels["app.kubernetes.io/part-of"] == "netprobe"
        assert found["metadata"].get("namespace", "netprobe") == "netprobe"
    for found in of_kind(overlay, *WORKLOADS):
        told = found["spec"]["template"]["metadata"]["labels"]
        assert told.items() >= found["spec"]["selector"]["matchLabels"].items()
        assert (
            told["app.kubernetes.io/component"] == found["metadata"]["labels"]["app.kubernetes.io/component"]
        )


@every_overlay
def test_every_container_says_what_it_needs_and_how_it_is(overlay: str) -> None:
    for container in containers_of(overlay):
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


@every_overlay
def test_every_image_is_of_this_version_and_of_a_registry_that_cannot_be(overlay: str) -> None:
    """RFC 6761, section 6.4: no name below ``.invalid`` resolves: nothing runs until an image is named."""
    for container in containers_of(overlay):
        assert re.fullmatch(rf"registry\.invalid/netprobe(-agent)?:{__version__}", container["image"])


@every_overlay
def test_every_pod_is_locked_down(overlay: str) -> None:
    for workload in of_kind(overlay, *WORKLOADS):
        pod = pod_of(workload)
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any("hostPath" in volume for volume in pod["volumes"])
        assert not {"hostPID", "hostIPC"} & set(pod)
        is_raw = "net-raw" in overlay
        for container in pod["containers"]:
            rights = container["securityContext"]
            added = {"add": ["NET_RAW"]} if is_raw else {}
            assert rights["capabilities"] == {"drop": ["ALL"]} | added
            assert rights["readOnlyRootFilesystem"]
            assert not rights["allowPrivilegeEscalation"]
            assert not rights.get("privileged")
        assert pod["securityContext"]["runAsNonRoot"] is not is_raw


@every_overlay
def test_agents_stand_on_every_node_and_stay_when_it_runs_short(overlay: str) -> None:
    agents = of_kind(overlay, "DaemonSet")
    assert {found["metadata"]["labels"]["netprobe.io/plane"] for found in agents} == {"pod", "host"}
    classes = names_of(of_kind(overlay, "PriorityClass"))
    for found in agents:
        assert {"operator": "Exists"} in pod_of(found)["tolerations"]
        assert pod_of(found)["affinity"] == ON_LINUX_MACHINES
        assert found["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == "10%"
    for found in of_kind(overlay, *WORKLOADS):
        assert pod_of(found)["priorityClassName"] in classes


@every_overlay
def test_disruption_budgets_only_where_kubernetes_can_reckon_them(overlay: str) -> None:
    """The disruption controller finds no scale of a DaemonSet, and then evicts none of its pods."""
    budgets = of_kind(overlay, "PodDisruptionBudget")
    assert names_of(budgets) == ({"netprobe-collector"} if overlay in HUBS else set())
    for budget in budgets:
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        chosen = [one for one in of_kind(overlay, *WORKLOADS)
                  if wanted <= one["spec"]["template"]["metadata"]["labels"].items()]  # fmt: skip
        assert [one["kind"] for one in chosen] == ["Deployment"]
        assert budget["spec"]["maxUnavailable"] >= 1, "a drain must not hang"


def granted_by(role: Object) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@every_overlay
def test_beside_reading_only_named_objects_of_our_own_may_be_touched(overlay: str) -> None:
    """The reader gets its own next token; the collector keeps it. No other right of ours changes anything."""
    roles = {one["metadata"]["name"]: one["rules"] for one in of_kind(overlay, "Role")}
    wanted = {"netprobe-reader", "netprobe-reader-token"} | (
        {"netprobe-registrations"} if overlay in HUBS else set()
    )
    assert set(roles) == wanted
    (token,) = roles["netprobe-reader-token"]
    assert token == {
        "apiGroups": [""], "resources": ["serviceaccounts/token"],
        "resourceNames": [READER], "verbs": ["create"],
    }  # fmt: skip
    if overlay in HUBS:
        (kept,) = roles["netprobe-registrations"]
        assert kept == {
            "apiGroups": [""], "resources": ["secrets"],
            "resourceNames": [CLUSTERS_SECRET], "verbs": ["patch"],
        }  # fmt: skip
    holders = {
        one["metadata"]["name"]: [subject["name"] for subject in one["subjects"]]
        for one in of_kind(overlay, "RoleBinding")
    }
    assert holders["netprobe-reader-token"] == [READER]
    assert set(holders) == wanted | ({"netprobe-collector"} if overlay in HUBS else set())


@every_overlay
def test_no_secret_holds_a_token_that_never_expires(overlay: str) -> None:
    for found in of_kind(overlay, "Secret"):
        assert found["type"] == "Opaque"
        assert not found.get("data")
        assert not found.get("stringData")


@every_overlay
def test_rights_are_those_that_discovery_uses_and_agents_have_none(overlay: str) -> None:
    (everywhere,) = of_kind(overlay, "ClusterRole")
    used = {
        ("" if kind.path.startswith("/api/v1/") else kind.path.split("/")[2], kind.name, verb)
        for kind in watched_kinds("netprobe")
        for verb in ("list", "watch")
    }
    pods = {("", "pods", "list"), ("", "pods", "watch")}
    assert granted_by(everywhere) == (used - pods) | {("about.k8s.io", "clusterproperties", "get")}
    here = {one["metadata"]["name"]: one for one in of_kind(overlay, "Role")}
    assert granted_by(here["netprobe-reader"]) == pods
    bound = {one["name"] for found in of_kind(overlay, "ClusterRoleBinding") for one in found["subjects"]}
    assert bound == {"netprobe-reader"} | ({"netprobe-collector"} if overlay in HUBS else set())
    assert not bound & set(ACCOUNTS.values())
    for account in of_kind(overlay, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@every_overlay
def test_policies_let_in_what_containers_listen_to(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies
    for workload in of_kind(overlay, *WORKLOADS):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        (policy,) = (
            one for one in policies if one["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        )
        opened = {
            (port["protocol"], port["port"]) for rule in policy["spec"]["ingress"] for port in rule["ports"]
        }
        listened = {
            (port.get("protocol", "TCP"), port["containerPort"])
            for container in pod_of(workload)["containers"]
            for port in container["ports"]
        }
        assert opened == listened
        is_agent = workload["kind"] == "DaemonSet"
        assert policy["spec"]["policyTypes"] == (["Ingress"] if is_agent else ["Ingress", "Egress"])


@every_hub
def test_metrics_are_for_marked_namespaces_and_the_collector_leaves_for_names_and_apis(overlay: str) -> None:
    (policy,) = (
        one["spec"]
        for one in of_kind(overlay, "NetworkPolicy")
        if one["metadata"]["name"] == "netprobe-collector"
    )
    metrics = [rule for rule in policy["ingress"] if {"protocol": "TCP", "port": 9772} in rule["ports"]]
    assert [rule["from"] for rule in metrics] == [
        [{"namespaceSelector": {"matchLabels": {"netprobe.io/metrics": "true"}}}]
    ]
    (egress,) = policy["egress"]
    assert {port["port"] for port in egress["ports"]} == {53, 443, 6443}


@every_hub
def test_metrics_need_a_token_that_the_collector_may_lack(overlay: str) -> None:
    """Without the Secret it starts all the same, and shows metrics to no client."""
    (collector,) = of_kind(overlay, "Deployment")
    pod = pod_of(collector)
    (volume,) = (one for one in pod["volumes"] if one["name"] == "metrics")
    assert volume["secret"] == {"secretName": METRICS_SECRET, "optional": True}
    assert "--metrics-token=/etc/netprobe/metrics/token" in pod["containers"][0]["args"]
    (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "metrics")
    assert mount["mountPath"] == "/etc/netprobe/metrics"


def size_of(text: str) -> int:
    """Bytes of a quantity."""
    units = {"Ki": 10, "Mi": 20, "Gi": 30}
    return int(text[:-2]) << units[text[-2:]]


BUS_BYTES = int(str(_windows_stream()["max_bytes"])) + size_of("1Gi")
"""Reports that wait, at most; a gibibyte for plans, presences and logs."""
HISTORY_BYTES = size_of("5Gi")
"""A day of some five thousand checks every ten seconds (docs/manifests.md)."""


@every_overlay
def test_every_volume_has_a_limit_that_holds_what_is_written_to_it(overlay: str) -> None:
    """What programs limit themselves to has to fit: a pod over its limit is evicted."""
    for workload in of_kind(overlay, *WORKLOADS):
        for volume in pod_of(workload)["volumes"]:
            if "emptyDir" in volume:
                limit = size_of(volume["emptyDir"]["sizeLimit"])
                if volume["name"] == "spool":
                    assert limit >= DEFAULT_SPOOL_MIB * size_of("1Mi") + size_of("16Mi")
                if volume["name"] == "data":
                    assert limit >= BUS_BYTES + HISTORY_BYTES
    for claim in of_kind(overlay, "PersistentVolumeClaim"):
        assert size_of(claim["spec"]["resources"]["requests"]["storage"]) >= BUS_BYTES + HISTORY_BYTES


def test_the_bus_may_make_its_largest_stream_again_when_it_has_it() -> None:
    """It does at each start of a collector; tests/unit/bus/test_accounts.py would see it refused."""
    assert int(str(_windows_stream()["max_bytes"])) * 2 <= MAX_STORE_BYTES


@every_hub
def test_services_lead_to_ports_of_the_collector(overlay: str) -> None:
    (collector,) = of_kind(overlay, "Deployment")
    ports = {port["name"] for port in pod_of(collector)["containers"][0]["ports"]}
    services = of_kind(overlay, "Service")
    assert {port["targetPort"] for one in services for port in one["spec"]["ports"]} == ports
    for service in services:
        labels = collector["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
    assert {one["metadata"]["name"]: len(one["spec"]["ports"]) for one in services} == {
        "netprobe-bus": 1, "netprobe-metrics": 1,
    }, "a bus that is open to the outside shows no metrics"  # fmt: skip


def data_of(overlay: str) -> Object:
    """Where the collector's data lies."""
    (collector,) = of_kind(overlay, "Deployment")
    (volume,) = (one for one in pod_of(collector)["volumes"] if one["name"] == "data")
    assert collector["spec"]["strategy"] == {"type": "Recreate"}, "two may not hold the same data"
    return {key: value for key, value in volume.items() if key != "name"}


def test_the_history_outlives_its_pod_where_it_is_wanted() -> None:
    (claim,) = of_kind("hub-persistent", "PersistentVolumeClaim")
    assert data_of("hub-persistent") == {"persistentVolumeClaim": {"claimName": claim["metadata"]["name"]}}
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert data_of("hub") == {"emptyDir": {"sizeLimit": "10Gi"}}


def test_prometheus_scrapes_the_port_that_tells_metrics() -> None:
    (monitor,) = of_kind("hub-monitored", "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    chosen = [
        one for one in of_kind("hub-monitored", "Service") if wanted <= one["metadata"]["labels"].items()
    ]
    assert names_of(chosen) == {"netprobe-metrics"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": METRICS_SECRET, "key": "token"}}
    assert (endpoint["port"], endpoint["path"]) == (chosen[0]["spec"]["ports"][0]["name"], "/metrics")
    assert of_kind("hub-monitored", "PrometheusRule")


def test_cert_manager_writes_the_secret_that_the_collector_shows() -> None:
    certificates = {
        one["metadata"]["name"]: one["spec"] for one in of_kind("hub-cert-manager", "Certificate")
    }
    issuers = {one["metadata"]["name"]: one["spec"] for one in of_kind("hub-cert-manager", "Issuer")}
    bus = certificates["netprobe-bus"]
    (collector,) = of_kind("hub-cert-manager", "Deployment")
    mounted = {one["secret"]["secretName"] for one in pod_of(collector)["volumes"] if "secret" in one}
    assert bus["secretName"] in mounted
    (service,) = (
        one for one in of_kind("hub-cert-manager", "Service") if one["metadata"]["name"] in bus["dnsNames"]
    )
    assert service["metadata"]["name"] == "netprobe-bus"
    authority = issuers[bus["issuerRef"]["name"]]["ca"]["secretName"]
    assert authority == certificates["netprobe-authority"]["secretName"]
    assert certificates["netprobe-authority"]["isCA"]


@every_overlay
def test_only_known_kinds_of_others_are_asked_for(overlay: str) -> None:
    """Else `kubectl apply -k` fails unexpectedly."""
    groups = {one["apiVersion"].partition("/")[0] for one in render(overlay)}
    foreign = {group for group in groups if group in FOREIGN}
    wanted = {"hub-cert-manager": {"cert-manager.io"}, "hub-monitored": {"monitoring.coreos.com"}}
    assert foreign == wanted.get(overlay, set())


# --- GitOps ------------------------------------------------------------------------------------

EXAMPLES = sorted((MANIFESTS / "gitops").rglob("*.yaml"))


def objects_of(path: Path) -> list[Object]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def places_of(found: Object) -> Iterator[tuple[str, list[Object]]]:
    """The overlay that an example installs, and how it patches it."""
    spec = found["spec"]
    if found["kind"] == "ApplicationSet":
        source = spec["template"]["spec"]["source"]
        yield source["path"], source["kustomize"]["patches"]
    elif found["kind"] == "Kustomization":
        yield spec["path"], spec["patches"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_gitops_examples_name_overlays_and_fields_that_exist(path: Path) -> None:
    places = [place for found in objects_of(path) for place in places_of(found)]
    assert places
    for overlay, patches in places:
        assert (MANIFESTS.parent / overlay).is_dir()
        for patch in patches:
            target = patch["target"]
            (settings,) = (
                one
                for one in of_kind(Path(overlay).name, target["kind"])
                if one["metadata"]["name"] == target["name"]
            )
            for operation in yaml.safe_load(patch["patch"]):
                assert operation["path"].removeprefix("/data/") in settings["data"], operation


def test_argo_cd_installs_a_spoke_in_each_cluster_that_it_knows() -> None:
    (found,) = objects_of(MANIFESTS / "gitops" / "argo-cd" / "applicationset.yaml")
    (generator,) = found["spec"]["generators"]
    assert generator["clusters"]["selector"]["matchLabels"] == {"netprobe.io/spoke": "true"}
    told = found["spec"]["template"]["spec"]
    assert told["destination"]["server"] == "{{ .server }}"
    assert told["source"]["targetRevision"] == f"v{__version__}"


def test_flux_pulls_in_the_spoke_or_is_pushed_from_the_hub() -> None:
    flux = MANIFESTS / "gitops" / "flux"
    source, pull = objects_of(flux / "pull.yaml")
    (push,) = objects_of(flux / "hub-push.yaml")
    assert source["spec"]["ref"] == {"tag": f"v{__version__}"}
    for found in (pull, push):
        assert found["spec"]["sourceRef"]["name"] == source["metadata"]["name"]
    assert "kubeConfig" not in pull["spec"]
    assert push["spec"]["kubeConfig"]["secretRef"]["key"] == "value"
