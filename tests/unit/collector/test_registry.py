"""The folder of registered clusters: what is wrong in it is named and hides nothing else."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from netprobe.collector.admission import Admission
from netprobe.collector.cluster_watchers import ClusterWatchers
from netprobe.collector.registry import ClusterRegistry, read_registered
from netprobe.errors import InputError
from tests.unit.bus.test_tokens import CLUSTERS, ISSUER

KEY = dict(CLUSTERS[0].keys[0])
GOOD: dict[str, object] = {"name": "prod", "issuer": ISSUER, "keys": [KEY]}
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "x",
    "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
}


def write(folder: Path, file: str, **fields: object) -> Path:
    path = folder / file
    path.write_text(json.dumps(fields))
    return path


def test_clusters_are_read_by_name(tmp_path: Path) -> None:
    write(tmp_path, "b.yaml", **GOOD)
    write(tmp_path, "prod.kubeconfig", **KUBECONFIG)
    write(tmp_path, "a.yaml", name="dev", kubeconfig="prod.kubeconfig")
    found = ClusterRegistry(tmp_path).read()
    assert [(one.name, one.access and one.access.server) for one in found] == [
        ("dev", "https://192.0.2.1"),
        ("prod", None),
    ]
    assert found[1].trusted.keys == (KEY,)


def test_a_file_that_goes_wrong_keeps_what_it_said_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, "prod.yaml", **GOOD)
    registry = ClusterRegistry(tmp_path)
    before = registry.read()
    path.write_text("name: [")
    os.utime(path, ns=(1, 1))
    with caplog.at_level(logging.WARNING):
        assert registry.read() == before
        assert registry.read() == before
    assert (registry.refused, len(caplog.records)) == (1, 1)
    assert f"{path}:1:8" in caplog.text
    path.unlink()
    assert registry.read() == ()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": "prod"}, "needs issuer and keys, or a kubeconfig to ask for them"),
        ({**GOOD, "name": "a/b"}, "name: 'a/b' is not a valid cluster name"),
        ({**GOOD, "key": []}, "unknown field"),
        ({**GOOD, "keys": [{**KEY, "d": "c2VjcmV0"}]}, "keys[0]: is a secret key: only public ones"),
        ({**GOOD, "keys": [{"kty": "EC"}]}, "keys[0]: is not a public key (RFC 7517)"),
        ({**GOOD, "keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "keys[0]: is a secret key"),
        ({**GOOD, "kubeconfig": "none"}, "cannot be read: No such file or directory"),
        ({**GOOD, "in_cluster": True, "kubeconfig": "x"}, "in_cluster and kubeconfig exclude each other"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_names_it(
    tmp_path: Path, fields: dict[str, object], complaint: str
) -> None:
    path = write(tmp_path, "prod.yaml", **fields)
    with pytest.raises(InputError) as told:
        read_registered(path)
    assert str(tmp_path) in str(told.value)
    assert complaint in str(told.value)
    assert "\n" not in str(told.value)


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        ClusterRegistry(tmp_path / "none")


def test_the_cluster_around_the_collector_is_its_home(tmp_path: Path) -> None:
    write(tmp_path, "hub.yaml", **{**GOOD, "name": "hub", "in_cluster": True})
    write(tmp_path, "spoke.yaml", **{**GOOD, "name": "spoke"})
    assert {found.name: found.is_home for found in ClusterRegistry(tmp_path).read()} == {
        "hub": True,
        "spoke": False,
    }
    assert ClusterWatchers(ClusterRegistry(tmp_path), Admission()).home == "hub"
    (tmp_path / "hub.yaml").unlink()
    assert ClusterWatchers(ClusterRegistry(tmp_path), Admission()).home is None


def test_a_cluster_that_comes_with_the_key_of_another_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "prod.yaml", **GOOD)
    registry = ClusterRegistry(tmp_path)
    registry.read()
    write(tmp_path, "aaa.yaml", **GOOD | {"name": "aaa", "keys": [KEY | {"kid": "other"}]})
    assert [found.name for found in registry.read()] == ["prod"]
    assert "keys[0]: is a key of cluster prod" in caplog.text


def test_a_cluster_has_few_keys(tmp_path: Path) -> None:
    path = write(tmp_path, "prod.yaml", **GOOD | {"keys": [KEY] * 33})
    with pytest.raises(InputError, match="keys: has 33 keys; the limit is 32"):
        read_registered(path)


def test_a_registration_runs_no_program(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "true", "interactiveMode": "Never"}
    users = [{"name": "u", "user": {"exec": plugin}}]
    write(tmp_path, "prod.kubeconfig", **KUBECONFIG | {"users": users})
    path = write(tmp_path, "prod.yaml", name="prod", kubeconfig="prod.kubeconfig")
    with pytest.raises(InputError, match="has an exec plug-in; use a token or a certificate"):
        read_registered(path)
