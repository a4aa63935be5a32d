"""The images that the Dockerfiles describe, built with buildah; ``python -m tests.e2e.cluster.node_images``.

Rule: what was built from the same sources is used as it is. Layers are kept, so that a change of our own code
costs no second download. One builds at a time; size and time are printed.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from netprobe.bus.server import find_program
from tests.e2e.cluster.base import BUILD, RUN, base_folder
from tests.e2e.cluster.kubernetes_build import cache

ROOT = Path(__file__).parents[3]
_KEPT = 4
"""Archives of an image that stay: another work tree may be using its own just now."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of ours."""

    name: str
    dockerfile: str
    sources: tuple[str, ...]


AGENT = Image(
    "netprobe.test/netprobe-agent:e2e", "agents/Dockerfile",
    ("agents", "netprobe/__init__.py", "netprobe/errors.py", "netprobe/logs.py", "netprobe/tasks.py",
     "netprobe/model", "netprobe/wire", "netprobe/probes", "netprobe/engine", "netprobe/bus"),
)  # fmt: skip
COLLECTOR = Image(
    "netprobe.test/netprobe:e2e",
    "Dockerfile",
    ("Dockerfile", "agents", "netprobe", "requirements-collector.lock"),
)


def archive_of(image: Image) -> Path:
    """Where the archive of *image*, as the sources are now, is kept."""
    digest = hashlib.sha256()
    for source in image.sources:
        at = ROOT / source
        for path in sorted(at.rglob("*")) if at.is_dir() else [at]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return (
        cache()
        / "images"
        / f"{Path(image.dockerfile).parent.name or 'collector'}-{digest.hexdigest()[:12]}.tar"
    )


def bake(image: Image) -> Path:
    """Build *image* unless it is there; return its archive."""
    archive = archive_of(image)
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (archive.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            try:
                _build(image, archive)
            finally:
                _buildah(
                    "rm", "--all", check=False
                )  # with their mounts, also those of a build that was killed
    return archive


def _build(image: Image, archive: Path) -> None:
    began = time.monotonic()
    _commit_folder("base-run", base_folder(RUN))
    _commit_folder("base-build", base_folder(BUILD))
    _commit_nats()
    arguments = {
        "BASE": "localhost/base-run",
        "BUILD_BASE": "localhost/base-build",
        "NATS": "localhost/base-nats",
    }
    words = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    _buildah(
        "build", "--isolation=chroot", "--network=host", "--layers", "--pull-never", "--quiet", *words,
        f"--file={ROOT / image.dockerfile}", f"--ignorefile={ROOT / '.dockerignore'}", f"--tag={image.name}",
        str(ROOT),
    )  # fmt: skip
    unfinished = archive.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    _buildah("push", "--quiet", image.name, f"docker-archive:{unfinished}:{image.name}")
    unfinished.rename(archive)
    kept = sorted(
        archive.parent.glob(f"{archive.name.rpartition('-')[0]}-*.tar"), key=lambda one: one.stat().st_mtime
    )
    for old in kept[:-_KEPT]:
        old.unlink()
    took, size = time.monotonic() - began, archive.stat().st_size / 2**20
    print(f"{image.name}: {size:.0f} MiB, built in {took:.0f} s", file=sys.stderr, flush=True)


def _commit_folder(name: str, folder: Path) -> None:
    tag = f"localhost/{name}:{folder.name}"
    if _buildah("images", "--quiet", tag, check=False):
        return
    container = _buildah("from", "scratch")
    _buildah("copy", "--quiet", container, str(folder), "/")
    _buildah("commit", "--quiet", "--rm", container, tag)
    _buildah("tag", tag, f"localhost/{name}:latest")


def _commit_nats() -> None:
    """The program of the locked wheel, where the Dockerfile expects that of the official image."""
    program = find_program()
    folder = cache() / f"nats-{program.stat().st_size}"
    at = folder / "usr/local/bin/nats-server"
    if not at.exists():
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program, at)
    _commit_folder("base-nats", folder)


def _buildah(*words: str, check: bool = True) -> str:
    store = cache() / "buildah"
    command = [
        "buildah",
        f"--root={store / 'root'}",
        f"--runroot={store / 'run'}",
        "--storage-driver=overlay",
        *words,
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode and check:
        sys.exit(f"buildah {words[0]}: {ran.stderr.strip()[-2000:]}")
    return ran.stdout.strip()


if __name__ == "__main__":
    for chosen in (AGENT, COLLECTOR):
        print(bake(chosen))
