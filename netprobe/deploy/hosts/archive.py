"""The agent as one file: a zip that Python runs (PEP 441), with the libraries the agent needs.

Rules: the same parts give the same bytes, so that a checksum says which agent stands on a host. Compiled
libraries cannot be loaded out of a zip; the archive's ``__main__`` unpacks them beside it, once. Only the
agent's own rooms go in.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from netprobe.discovery.ssh.platform import Platform
from netprobe.errors import SystemRefusedError

ROOMS = ("model", "wire", "probes", "engine", "bus")
"""The rooms of netprobe that the agent may import; import-linter holds it to them."""
_BELOW_ROOMS = ("__init__.py", "errors.py", "logs.py", "tasks.py")
DISTRIBUTIONS = (
    "msgspec", "nats-py", "pynacl", "cffi", "h11", "h2", "hpack", "hyperframe", "dnspython", "numpy",
)  # fmt: skip
"""What ``netprobe-fabric[agent]`` installs, without :data:`UNUSED`; each of them has wheels."""
UNUSED = frozenset({"pycparser"})
"""Comes with the extra, but is read only while something is compiled (by cffi)."""
_LEFT_OUT = ("/tests/", "/test/", "/__pycache__/", "/include/", "/_examples/", "/numpy/f2py/")
"""Files that are not loaded at run time: half of the bytes."""
_LEFT_OUT_ENDS = (".pyc", ".pyi", ".a", ".h", ".pxd")
_LAUNCHER = "agent_main.py"
_LEVEL = 1  # the highest level takes a minute and saves a tenth
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can tell

Part = tuple[str, bytes]
"""A path below the libraries' folder, and its content."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The agent in one file."""

    content: bytes = field(repr=False)
    fits: Platform

    @property
    def sha256(self) -> str:
        """Its checksum, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def find_platform() -> Platform:
    """The platform of the Python that runs us."""
    return Platform(sys.version_info[:2], platform.machine())


@cache
def build_archive(fits: Platform) -> Archive:
    """The agent for *fits*: from the libraries installed here where those fit, else from PyPI's wheels.

    Raises `SystemRefusedError` where libraries are missing.
    """
    if fits == find_platform():
        return Archive(_pack((*_own_rooms(), *_installed())), fits)
    with tempfile.TemporaryDirectory() as folder:
        _download(fits, Path(folder))
        wheels = sorted(Path(folder).glob("*.whl"))
        return Archive(_pack((*_own_rooms(), *(part for wheel in wheels for part in _unpack(wheel)))), fits)


def _pack(parts: Iterable[Part]) -> bytes:
    launcher = resources.files(__package__).joinpath(_LAUNCHER).read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("__main__.py", launcher), *sorted((f"library/{n}", c) for n, c in parts)):
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), content, zipfile.ZIP_DEFLATED, _LEVEL)
    return packed.getvalue()


def _own_rooms() -> Iterator[Part]:
    package, agent = _folder_of("netprobe"), _folder_of("netprobe_agent")
    sources = [*(package / name for name in _BELOW_ROOMS), *agent.rglob("*.py")]
    sources += [path for room in ROOMS for path in (package / room).rglob("*.py")]
    for path in sources:
        root = package if path.is_relative_to(package) else agent
        yield path.relative_to(root.parent).as_posix(), path.read_bytes()


def _folder_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemRefusedError(f"the package {package} is not installed here")
    return Path(found.origin).parent


def _installed() -> Iterator[Part]:
    for name in DISTRIBUTIONS:
        for file in _find_distribution(name).files or ():
            if _is_wanted(file.as_posix()):
                yield file.as_posix(), file.read_binary()


def _find_distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise SystemRefusedError(
            f"{name} is not installed here: pip install 'netprobe-fabric[agent]'"
        ) from error


def _is_wanted(name: str) -> bool:
    inside = not name.startswith(("../", "/"))  # scripts of a distribution lie outside
    return inside and not name.endswith(_LEFT_OUT_ENDS) and not any(part in f"/{name}" for part in _LEFT_OUT)


def _unpack(wheel: Path) -> Iterator[Part]:
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            if not name.endswith("/") and _is_wanted(name):
                yield name, packed.read(name)


def find_lock() -> Path:
    """The agent's lock file: in the package of an installed wheel, else in the tree."""
    package = Path(__file__).parent
    for file in (package / "requirements.lock", package.parents[2] / "agents" / "requirements.lock"):
        if file.is_file():
            return file
    raise SystemRefusedError("the agent's requirements.lock is not part of this installation")


def locked_libraries(lock: str) -> str:
    """The entries of *lock* that an archive holds: versions, and the hashes of all their files; pure."""
    entries = re.split(r"\n(?=[\w.-]+==)", lock)
    found = {entry.partition("==")[0].lower(): entry for entry in entries if "==" in entry}
    missing = [name for name in DISTRIBUTIONS if name not in found]
    if missing:
        raise SystemRefusedError(f"{', '.join(missing)} is not in the agent's lock file")
    return "\n".join(found[name] for name in DISTRIBUTIONS) + "\n"


def _download(fits: Platform, folder: Path) -> None:
    """Fetch wheels for another platform, each with a hash of the lock file: the index is not trusted.

    The versions are those of the agent's image.
    """
    wanted = folder / "requirements.txt"
    wanted.write_text(locked_libraries(find_lock().read_text()))
    kinds = [f"manylinux_2_{minor}_{fits.machine}" for minor in (28, 27, 26, 17)]
    platforms = [word for kind in (*kinds, f"manylinux2014_{fits.machine}") for word in ("--platform", kind)]
    version = ".".join(map(str, fits.python))
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    chosen = ["--only-binary=:all:", "--implementation", "cp", "--python-version", version, *platforms]
    done = subprocess.run(  # noqa: S603 - every word is ours or a version number
        [*pip, *chosen, "--require-hashes", "--dest", str(folder), "--requirement", str(wanted)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["pip failed"]
        why = next((line.strip() for line in said if "DO NOT MATCH THE HASHES" in line), said[-1])
        raise SystemRefusedError(f"no libraries for {fits}: {why}")
