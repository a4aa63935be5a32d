"""``netprobe gather``: one archive, with everything that was asked for and no secret."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import stat
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from netprobe.cli.main import cli
from netprobe.discovery.fabrics import READABLE
from netprobe.errors import InputError
from netprobe.model.ssh import SshAccess, SshForward, SshHop
from netprobe.store import archive
from netprobe.store.archive import FOLDER, write_archive
from netprobe.store.bundle import read_bundle, write_bundle
from tests import fleets
from tests.unit.cli.commands.test_show import run
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig
from tests.unit.discovery.fabrics.test_registry import PLANTED, merged, with_secrets
from tests.unit.discovery.fabrics.whole_objects import WHOLE
from tests.unit.docs.pages import ROOT

VERSIONS = {
    "submariner.io": "v1", "networking.liqo.io": "v1beta1", "core.liqo.io": "v1beta1",
    "multicluster.linkerd.io": "v1alpha3", "consul.hashicorp.com": "v1alpha1", "skupper.io": "v2alpha1",
    "multicluster.x-k8s.io": "v1beta1", "networking.istio.io": "v1", "cilium.io": "v2",
    "gateway.networking.k8s.io": "v1",
}  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "evidence", fleets.tunnel_down())
    return tmp_path / "evidence"


def unpacked(path: Path) -> dict[str, bytes]:
    """Every member by its name below the folder; evidence inside is unpacked too."""
    found = {}
    with tarfile.open(path) as packed:
        for member in packed.getmembers():
            assert member.isreg()
            assert member.name.startswith(f"{FOLDER}/")
            assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
            file = packed.extractfile(member)
            assert file is not None
            raw = file.read()
            found[member.name.removeprefix(f"{FOLDER}/")] = (
                gzip.decompress(raw) if member.name.endswith(".gz") else raw
            )
    return found


def test_a_bundle_and_versions_are_in_it(bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "bug.tar.gz"
    result = run("gather", "--from", bundle, "-o", output)
    assert result.exit_code == 0, result.output
    files = unpacked(output)
    assert set(files) == {
        "problems.txt", "versions.json", *(f"evidence/{path.name}" for path in bundle.iterdir())
    }  # fmt: skip
    assert files["problems.txt"] == b"none\n"
    assert json.loads(files["versions.json"])["libraries"]["msgspec"]
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    with tarfile.open(output) as packed:
        packed.extractall(tmp_path / "out", filter="data")
    assert read_bundle(tmp_path / "out" / FOLDER / "evidence") == read_bundle(bundle)


def served_with_secrets() -> Served:
    """Objects of every fabric; each has secrets in unknown fields and where its types hold them."""
    items: dict[str, list[Any]] = {}
    resources: dict[str, list[str]] = {}
    for fabric in READABLE:
        for kind in fabric.KINDS:
            path = f"{kind.group}/{VERSIONS[kind.group]}" if kind.group else "/api/v1"
            resources.setdefault(path, []).append(kind.resource)
            # Two groups may have one plural, and the server of the tests knows plurals only.
            items.setdefault(kind.resource, []).extend(
                merged(with_secrets(kind), one) for one in WHOLE[fabric.NAME][kind.resource]
            )
    return Served(groups=["networking.istio.io", "cilium.io"], resources=resources, items=items)


async def gather(served: Served, folder: Path, *words: str) -> tuple[Result, Path]:
    output = folder / "bug.tgz"
    async with serve(served):
        config = write_kubeconfig(folder / "config", served.url)
        command = ["gather", "--all-contexts", "--kubeconfig", str(config), "-o", str(output), *words]
        return await asyncio.to_thread(CliRunner().invoke, cli, command), output


async def test_fabric_objects_are_in_it_and_planted_secrets_are_not(tmp_path: Path) -> None:
    inventory = fleets.default_inventory()
    forward = SshForward("bus", PLANTED, 4222, SshAccess(SshHop(PLANTED, PLANTED)))
    snapshot = replace(fleets.tunnel_down(), inventory=replace(inventory, forwards=(forward,)))
    write_bundle(tmp_path / "e", snapshot)
    result, output = await gather(served_with_secrets(), tmp_path, "--from", str(tmp_path / "e"))
    assert result.exit_code == 0, result.output
    files = unpacked(output)
    kept = json.loads(files["fabrics/x.json"])
    assert {each["kind"] for each in kept["kinds"]} == {
        str(kind) for fabric in READABLE for kind in fabric.KINDS
    }
    assert all(each["count"] for each in kept["kinds"])
    text = b"\n".join(files.values()).decode() + result.output
    assert "203.0.113.21" in text
    assert PLANTED not in text


async def test_a_cluster_that_cannot_be_read_is_a_line_and_the_rest_is_there(tmp_path: Path) -> None:
    away = write_kubeconfig(tmp_path / "away", f"http://u:{PLANTED}@127.0.0.1:1")
    output = tmp_path / "bug.tar.gz"
    words = ["gather", "--all-contexts", "--kubeconfig", str(away), "-o", str(output)]
    result = await asyncio.to_thread(CliRunner().invoke, cli, words)
    files = unpacked(output)
    assert result.exit_code == 1
    assert "cannot be reached" in files["problems.txt"].decode()
    assert {"versions.json", "clusters.json"} <= set(files)
    assert PLANTED not in result.output + b"".join(files.values()).decode()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("bug.zip", "is not a name for an archive: it ends with .tar.gz or .tgz"),
        ("folder.tar.gz", "is not a file; it was left alone"),
    ],
)
def test_a_wrong_output_is_one_line_before_anything_is_read(
    name: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "folder.tar.gz").mkdir()
    result = run("gather", "--from", tmp_path / "nowhere", "-o", tmp_path / name)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == f"{tmp_path / name}: {complaint}"


def test_a_bundle_that_is_not_there_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    result = run("gather", "--from", tmp_path / "nowhere", "-o", tmp_path / "bug.tgz")
    assert str(result.exception) == f"{tmp_path}/nowhere: is not an evidence bundle: no such directory"
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 100)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 150)
    files = {"large": b"x" * 101, "one": b"x" * 80, "two": b"x" * 90}
    problems = write_archive(tmp_path / "a.tgz", files, ("c: a line\nand more",))
    assert problems == ("c: a line\nand more", "two: left out, because it has 90 bytes",
                        "large: left out, because it has 101 bytes")  # fmt: skip
    found = unpacked(tmp_path / "a.tgz")
    assert set(found) == {"one", "problems.txt"}
    assert found["problems.txt"].decode().splitlines()[0] == "c: a line and more"


def test_equal_content_gives_equal_archives(tmp_path: Path) -> None:
    for name in ("a.tgz", "b.tgz"):
        write_archive(tmp_path / name, {"x": b"1"})
    assert (tmp_path / "a.tgz").read_bytes() == (tmp_path / "b.tgz").read_bytes()
    assert io.BytesIO((tmp_path / "a.tgz").read_bytes()).read(2) == b"\x1f\x8b"


def test_the_page_names_the_sizes_that_are_kept() -> None:
    page = (ROOT / "docs/reports.md").read_text()
    sizes = f"{archive.MAX_MEMBER_BYTES >> 20} MiB a file, {archive.MAX_TOTAL_BYTES >> 20} MiB in all"
    assert sizes in page
