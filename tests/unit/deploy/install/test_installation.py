"""Which objects a cluster gets, and that agent and collector understand every word in them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from cryptography import x509

from netprobe.bus.certificates import CertificatePair, make_authority, sign_server
from netprobe.bus.tokens import ACCOUNTS, AUDIENCE, NAMESPACE
from netprobe.cli.actions.install import _servers, describe
from netprobe.cli.commands.collector import collector
from netprobe.deploy.install import objects
from netprobe.deploy.install.objects import AgentSettings, Images
from netprobe.deploy.install.status import ClusterInstallation, Progress
from netprobe.discovery.k8s.facts import AGENT_LABEL, PLANE_LABEL
from netprobe.errors import InputError
from netprobe.model.names import ClusterName, Plane
from netprobe.wire.manifests import Manifest, read_manifests
from netprobe_agent.main import _parser

NOW = datetime(2026, 11, 25, tzinfo=UTC)
DEFAULT = Images()
SETTINGS = AgentSettings("prod", "tls://bus.example:4222", "CA")


def of_kind(kind: str, images: Images = DEFAULT) -> list[Manifest]:
    manifests = (
        *objects.agent_objects(SETTINGS, images), *objects.collector_objects(images, service="NodePort"),
    )  # fmt: skip
    return [found for found in manifests if found["kind"] == kind]


def pod_of(workload: Manifest) -> Manifest:
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def test_agents_are_started_with_flags_that_they_have() -> None:
    for workload in of_kind("DaemonSet"):
        told = _parser().parse_args(
            [
                word.replace("$(ADDRESSES)", "10.1.0.5,2001:db8::5")
                for word in pod_of(workload)["containers"][0]["args"]
            ]
        )
        plane = Plane(workload["metadata"]["labels"][PLANE_LABEL])
        assert told.agent == f"$(CLUSTER)/$(NODE)/{plane}"
        assert (told.seed, told.bus) == (None, "$(BUS)")


def test_the_token_that_an_agent_shows_is_the_one_that_is_asked_for() -> None:
    for workload in of_kind("DaemonSet"):
        pod, plane = pod_of(workload), Plane(workload["metadata"]["labels"][PLANE_LABEL])
        assert (pod["serviceAccountName"], workload["metadata"]["namespace"]) == (ACCOUNTS[plane], NAMESPACE)
        (token,) = (found for found in pod["volumes"] if found["name"] == "token")
        assert token["projected"]["sources"][0]["serviceAccountToken"]["audience"] == AUDIENCE
        name, _, value = AGENT_LABEL.partition("=")
        assert workload["spec"]["template"]["metadata"]["labels"][name] == value
        assert not pod["automountServiceAccountToken"]


def test_the_collector_is_started_with_options_that_it_has() -> None:
    (deployment,) = of_kind("Deployment")
    command, *words = pod_of(deployment)["containers"][0]["args"]
    assert command == "collector"
    context = click.Context(collector)
    options, _, _ = collector.make_parser(context).parse_args(args=list(words))
    assert options["listen"] == "0.0.0.0:4222"
    mounted = {found["mountPath"] for found in pod_of(deployment)["containers"][0]["volumeMounts"]}
    assert {str(Path(value).parent) for value in (options["keys"], options["tls_key"])} <= mounted


def test_what_differs_from_cluster_to_cluster_is_filled_in() -> None:
    (settings,) = of_kind("ConfigMap")
    assert settings["data"] == {"cluster": "prod", "bus": "tls://bus.example:4222", "ca.crt": "CA"}
    images = Images("r.example/agent:2", "r.example/netprobe:2")
    for workload in (*of_kind("DaemonSet", images), *of_kind("Deployment", images)):
        wanted = images.agent if workload["kind"] == "DaemonSet" else images.collector
        assert [found["image"] for found in pod_of(workload)["containers"]] == [wanted]
    types = {found["metadata"]["name"]: found["spec"].get("type") for found in of_kind("Service")}
    assert types == {"netprobe-bus": "NodePort", "netprobe-metrics": None}, "metrics stay inside"


def test_every_object_is_ours_and_every_container_is_locked_down() -> None:
    for found in objects.everything():
        assert objects.LABELS.items() <= found["metadata"]["labels"].items(), found["metadata"]["name"]
        assert found["kind"] == "Namespace" or found["metadata"].get("namespace", NAMESPACE) == NAMESPACE
    for workload in (*of_kind("DaemonSet"), *of_kind("Deployment")):
        pod = pod_of(workload)
        assert pod["securityContext"]["runAsNonRoot"]
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"]
            assert not rights["allowPrivilegeEscalation"]
            assert rights["capabilities"] == {"drop": ["ALL"]}


def test_a_base_that_kustomize_would_change_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kustomization.yaml"
    file.write_text("resources: []\nnamePrefix: x-\n")
    with pytest.raises(InputError, match="namePrefix: a base may only have resources"):
        read_manifests(tmp_path)
    file.write_text("resources: [")
    with pytest.raises(InputError, match="is not YAML") as told:
        read_manifests(tmp_path)
    assert "\n" not in str(told.value)


def test_a_certificate_is_for_every_name_and_signed_by_its_authority() -> None:
    authority = make_authority(now=NOW)
    pair = sign_server(authority, ["bus.example", "192.0.2.1", "bus.example"], now=NOW)
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["bus.example"]
    assert [str(found) for found in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    assert certificate.not_valid_after_utc - NOW == timedelta(days=398)
    assert "PRIVATE" not in repr(pair)
    with pytest.raises(InputError, match="must be a certificate and its key"):
        sign_server(CertificatePair(b"x", b"y"), [], now=NOW)


def test_secrets_hold_bytes() -> None:
    made = objects.secret("s", {"b": b"\x00", "a": b"1"})
    assert {key: base64.b64decode(value) for key, value in made["data"].items()} == {"a": b"1", "b": b"\x00"}
    assert objects.path_of(made) == "/api/v1/namespaces/netprobe/secrets/s"


def test_how_far_an_installation_is_reads_well() -> None:
    parts = (
        Progress("netprobe-agent-pod", 1, 3, settled=True),
        Progress("netprobe-collector", 1, 1, settled=False),
    )
    assert (
        describe(ClusterInstallation(ClusterName("prod"), parts)) == "agent-pod 1/3, collector 1/1 (updating)"
    )
    assert describe(ClusterInstallation(ClusterName("prod"))) == "not installed"


@pytest.mark.parametrize("text", ["prod", "prod=http://x", "prod=https://", "=", "prod=10.0.0.1:6443"])
def test_an_api_server_is_named_by_context_and_url(text: str) -> None:
    assert _servers(["prod=https://10.0.0.1:6443"]) == {"prod": "https://10.0.0.1:6443"}
    with pytest.raises(InputError, match=r"--api-server: .* is not CONTEXT=https"):
        _servers([text])
