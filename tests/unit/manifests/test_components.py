"""Components as `netprobe install --with` applies them: the same objects that kustomize makes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from netprobe.deploy.install import objects
from netprobe.deploy.install.objects import EXTRAS, AgentSettings, Images
from netprobe.errors import InputError
from netprobe.wire.manifests import read_component
from tests.unit.manifests.rendered import MANIFESTS, Object, needs_kubectl

DATA = {"cluster": "set-the-name-of-the-cluster", "bus": "tls://netprobe-bus.netprobe.svc:4222", "ca.crt": ""}
SETTINGS = AgentSettings(DATA["cluster"], DATA["bus"], DATA["ca.crt"])


def kustomized(directory: Path, extra: str) -> list[Object]:
    """What kubectl makes of agents and collector with one component."""
    for name in ("base", "components"):
        (directory / name).symlink_to(MANIFESTS / name)
    (directory / "overlay").mkdir()
    told = {
        "resources": ["../base/agent", "../base/collector"],
        "components": [f"../components/{extra}"],
    }
    (directory / "overlay" / "kustomization.yaml").write_text(json.dumps(told))
    ran = subprocess.run(
        ["kubectl", "kustomize", str(directory / "overlay"), "--load-restrictor=LoadRestrictionsNone"],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def by_path(found: list[Object]) -> dict[str, Object]:
    return {objects.path_of(one): one for one in found}


@needs_kubectl
@pytest.mark.parametrize("extra", EXTRAS)
def test_an_installation_has_what_kustomize_makes(extra: str, tmp_path: Path) -> None:
    images = Images(extras=(extra,))
    made = [
        *objects.agent_objects(SETTINGS, images),
        *objects.collector_objects(images, service="ClusterIP"),
    ]
    for found in made:
        if found["metadata"]["name"] == objects.BUS_NAME:
            del found["spec"]["type"]  # the installation says it, kustomize leaves it to the server
    assert by_path(made) == by_path(kustomized(tmp_path, extra))
    plain = (
        *objects.agent_objects(SETTINGS, Images()),
        *objects.collector_objects(Images(), service="ClusterIP"),
    )
    assert by_path(made) != by_path(list(plain))


def test_every_component_can_be_installed_but_certificates() -> None:
    there = {path.name for path in (MANIFESTS / "components").iterdir()}
    assert set(EXTRAS) == there - {"cert-manager"}


def test_what_stands_in_no_namespace_is_known_to_who_removes() -> None:
    found = objects.extra_objects(EXTRAS, of_the_hub=False)
    assert {one["kind"] for one in objects.cluster_wide(found)} == {
        "PriorityClass",
        "ClusterRole",
        "ClusterRoleBinding",
    }
    hubs = objects.extra_objects(EXTRAS, of_the_hub=True)
    assert {"PersistentVolumeClaim", "ServiceMonitor", "PriorityClass"} <= {one["kind"] for one in hubs}
    assert "PersistentVolumeClaim" not in {one["kind"] for one in found}


def component(directory: Path, patch: str, **more: object) -> Path:
    target = {"kind": "Service", "name": "s"}
    told = {"kind": "Component", "patches": [{"target": target, "patch": patch}], **more}
    (directory / "kustomization.yaml").write_text(json.dumps(told))
    return directory


SERVICE = {
    "kind": "Service",
    "metadata": {"name": "s", "labels": {"a/b": "c"}},
    "spec": {"ports": [{"port": 1}]},
}


def test_patches_change_copies_of_those_who_are_meant(tmp_path: Path) -> None:
    patch = "- {op: add, path: /spec/ports/-, value: {port: 2}}\n"
    patch += "- {op: replace, path: /spec/ports/0/port, value: 3}"
    other = {**SERVICE, "metadata": {"name": "t"}}
    changed, left = read_component(component(tmp_path, patch)).patch([SERVICE, other])
    assert changed["spec"] == {"ports": [{"port": 3}, {"port": 2}]}
    assert left == other
    assert SERVICE["spec"] == {"ports": [{"port": 1}]}
    label = "- {op: replace, path: /metadata/labels/a~1b, value: d}"
    (labelled,) = read_component(component(tmp_path, label)).patch([SERVICE])
    assert labelled["metadata"]["labels"] == {"a/b": "d"}


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ("- {op: move, path: /spec, from: /x}", "move: only add, replace and test are supported"),
        ("- {op: replace, path: /spec/nothing/0, value: 1}", "/spec/nothing/0: does not exist"),
        ("- {op: replace, path: /spec/ports/7, value: 1}", "/spec/ports/7: does not exist"),
        ("- {op: test, path: /spec/ports/0/port, value: 9}", "/spec/ports/0/port: is not 9"),
        ("- [", "is not YAML"),
    ],
)
def test_a_patch_that_does_not_fit_is_one_line(tmp_path: Path, patch: str, told: str) -> None:
    with pytest.raises(InputError, match=f"kustomization.yaml: {told}") as caught:
        read_component(component(tmp_path, patch)).patch([SERVICE])
    assert "\n" not in str(caught.value)


def test_what_is_not_understood_of_kustomize_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="images: a component may only have resources, patches"):
        read_component(component(tmp_path, "[]", images=[]))
