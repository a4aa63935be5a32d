"""The agent in one file: it runs in a bare Python, has all it needs and nothing it must not have."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from netprobe import __version__
from netprobe.deploy.hosts import archive as packing
from netprobe.deploy.hosts.archive import Archive, build_archive, find_platform

LOAD_ALL = """
import sys
sys.path[0] = sys.argv[1]
import netprobe, netprobe_agent.serve, netprobe_agent.run, netprobe.engine.sweep.sweep
from netprobe.probes.registry import iter_kinds
from netprobe.engine.drivers.registry import DRIVERS
assert list(iter_kinds())
import scapy.all, numpy, dns.message, h2.connection, nkeys, nats
assert all(sys.modules[name].__file__.startswith(sys.argv[1]) for name in ("netprobe", "numpy", "nkeys"))
"""


@pytest.fixture(scope="module")
def archive() -> Archive:
    return build_archive(find_platform())


@pytest.fixture(scope="module")
def unpacked(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive after its first start, in a Python that sees nothing of ours."""
    path = tmp_path_factory.mktemp("agent") / "agent.pyz"
    path.write_bytes(archive.content)
    told = subprocess.check_output([sys.executable, "-I", "-S", str(path), "--version"], text=True)
    assert told == f"netprobe-agent {__version__}\n"
    return path


def test_it_runs_and_unpacks_its_libraries_all_or_nothing(unpacked: Path) -> None:
    assert sorted(path.name for path in unpacked.parent.iterdir()) == ["agent.pyz", "library"]


def test_everything_an_agent_may_load_is_inside(unpacked: Path) -> None:
    library = str(unpacked.parent / "library")
    subprocess.run([sys.executable, "-I", "-S", "-c", LOAD_ALL, library], check=True)  # does not raise


def test_nothing_of_the_upper_rooms_is_inside(unpacked: Path) -> None:
    names = zipfile.ZipFile(unpacked).namelist()
    rooms = {name.split("/")[2] for name in names if name.startswith("library/netprobe/")}
    assert rooms == {
        "__init__.py",
        "errors.py",
        "logs.py",
        "tasks.py",
        "model",
        "wire",
        "probes",
        "engine",
        "bus",
    }
    assert not [name for name in names if "asyncssh" in name or "kubernetes" in name or "/tests/" in name]


def test_the_same_parts_give_the_same_bytes(archive: Archive) -> None:
    build_archive.cache_clear()
    assert build_archive(find_platform()).sha256 == archive.sha256


def test_the_image_holds_the_same_parts_of_netprobe_as_the_archive() -> None:
    dockerfile = (Path(__file__).parents[4] / "agents/Dockerfile").read_text()
    copied = set(re.findall(r"(?<=[ \n])netprobe/([\w.]+)(?= )", dockerfile))
    assert copied == {*packing.ROOMS, *packing._BELOW_ROOMS}
