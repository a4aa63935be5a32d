"""The agent in one file: it runs in a bare Python, has all it needs and nothing it must not have."""

from __future__ import annotations

import importlib.metadata
import io
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from netprobe import __version__
from netprobe.deploy.hosts import archive as packing
from netprobe.deploy.hosts.archive import Archive, build_archive, find_platform
from netprobe.discovery.ssh.platform import Platform
from netprobe.errors import SystemRefusedError

ROOT = Path(__file__).parents[4]
LOAD_ALL = """
import sys
sys.path[0] = sys.argv[1]
import netprobe, netprobe_agent.serve, netprobe_agent.run, netprobe.engine.sweep.sweep
from netprobe.probes.registry import iter_kinds
from netprobe.engine.drivers.registry import DRIVERS, find_driver
assert list(iter_kinds()) and [find_driver(kind) for kind in DRIVERS]
import numpy, dns.message, h2.connection, nacl.signing, nats
assert all(sys.modules[name].__file__.startswith(sys.argv[1]) for name in ("netprobe", "numpy", "nacl"))
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
    dockerfile = (ROOT / "agents/Dockerfile").read_text()
    copied = set(re.findall(r"(?<=[ \n])netprobe/([\w.]+)(?= )", dockerfile))
    assert copied == {*packing.ROOMS, *packing._BELOW_ROOMS}


def test_the_archive_holds_what_the_extra_named_agent_installs_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["agent"]}
    assert _closure(wanted) - packing.UNUSED == set(packing.DISTRIBUTIONS)


def test_the_image_of_the_agent_installs_the_same_libraries() -> None:
    lock = (ROOT / "agents/requirements.lock").read_text()
    assert set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)) - packing.UNUSED == set(packing.DISTRIBUTIONS)


def test_every_library_of_the_agent_has_a_wheel() -> None:
    """A wheel beside the source gives a second hash; nkeys, which has no wheel, had one hash alone."""
    entries = re.split(r"\n(?=[\w.-]+==)", (ROOT / "agents/requirements.lock").read_text())
    single = [entry.split("==")[0] for entry in entries[1:] if entry.count("--hash=") < 2]
    assert single == []


@pytest.mark.programs
@pytest.mark.parametrize("fits", [Platform((3, 12), "aarch64"), Platform((3, 13), "x86_64")], ids=str)
def test_the_archive_of_another_platform_holds_compiled_libraries_for_it(fits: Platform) -> None:
    try:
        names = zipfile.ZipFile(io.BytesIO(build_archive(fits).content)).namelist()
    except SystemRefusedError as error:
        if _is_index_away():
            pytest.skip(f"needs a package index: {error}")
        raise
    python = "".join(map(str, fits.python))
    compiled = [name for name in names if name.endswith(".so")]
    assert f"library/msgspec/_core.cpython-{python}-{fits.machine}-linux-gnu.so" in compiled
    assert "library/nacl/_sodium.abi3.so" in compiled
    assert not [
        name for name in compiled if "cpython" in name and f"cpython-{python}-{fits.machine}" not in name
    ]


@pytest.mark.programs
def test_a_library_for_another_platform_that_is_not_the_locked_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that serves another file under the same version gets nothing onto a host."""
    if _is_index_away():
        pytest.skip("needs a package index")
    forged = re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", packing.find_lock().read_text())
    (tmp_path / "requirements.lock").write_text(forged)
    monkeypatch.setattr(packing, "find_lock", lambda: tmp_path / "requirements.lock")
    build_archive.cache_clear()
    with pytest.raises(SystemRefusedError, match="DO NOT MATCH THE HASHES"):
        build_archive(Platform((3, 12), "aarch64"))


def test_the_libraries_of_an_archive_are_locked_with_a_hash_each() -> None:
    entries = packing.locked_libraries(packing.find_lock().read_text())
    assert re.findall(r"^([\w.-]+)==", entries, re.MULTILINE) == list(packing.DISTRIBUTIONS)
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[\w.-]+==)", entries))


def test_a_library_that_is_missing_is_named_for_every_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "DISTRIBUTIONS", ("no-such-library",))
    build_archive.cache_clear()
    for fits in (find_platform(), Platform((3, 99), "riscv64")):
        with pytest.raises(
            SystemRefusedError, match=r"no-such-library is not in(stalled here| the agent's lock)"
        ):
            build_archive(fits)


def _closure(requirements: set[str]) -> set[str]:
    """The distributions that these *requirements* install here, without extras."""
    found: set[str] = set()
    waiting = [re.split(r"[^\w.-]", requirement)[0] for requirement in requirements]
    while waiting:
        name = waiting.pop().lower()
        if name not in found:
            found.add(name)
            waiting += [
                re.split(r"[^\w.-]", wanted)[0]
                for wanted in importlib.metadata.requires(name) or ()
                if "extra ==" not in wanted
            ]
    return found


def _is_index_away() -> bool:
    """Whether pip cannot even get the smallest library, which is pure Python."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "h11"]
        return subprocess.run(pip, capture_output=True, check=False).returncode != 0
