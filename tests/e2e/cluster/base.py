"""Base images without a registry: Debian's Python, from its packages; ``python -m tests.e2e.cluster.base``.

The one to run programs on holds what Python needs and no shell; the one to build on has pip besides. Both
are kept by the list of their packages and built again when that changes.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from tests.e2e.cluster.kubernetes_build import cache

RUN = (
    "base-files", "libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libssl3", "libexpat1", "libffi8",
    "libbz2-1.0", "liblzma5", "libsqlite3-0", "libuuid1", "libcrypt1", "python3.11-minimal",
    "libpython3.11-minimal", "libpython3.11-stdlib", "python3-minimal",
)  # fmt: skip
BUILD = (
    *RUN, "python3-pip", "python3-distutils", "python3-lib2to3", "python3-setuptools", "python3-wheel",
    "python3-pkg-resources",
)  # fmt: skip
_TRUST = Path("/etc/ssl/certs/ca-certificates.crt")


def base_folder(packages: tuple[str, ...]) -> Path:
    """A root file system of *packages*, unpacked once."""
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    root = cache() / f"base-{digest}"
    if root.exists():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as work:
        made = Path(work) / "root"
        made.mkdir()
        subprocess.run(
            ["apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", *packages], cwd=work, check=True
        )
        for package in sorted(Path(work).glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", str(package), str(made)], check=True)
        _finish(made)
        made.rename(root)
    return root


def _finish(root: Path) -> None:
    subprocess.run(
        ["rm", "-rf", *(str(root / "usr/share" / name) for name in ("doc", "man", "locale"))], check=True
    )
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"
    )
    (root / "etc/group").write_text("root:x:0:\nnonroot:x:65532:\n")
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    trust = root / _TRUST.relative_to("/")
    trust.parent.mkdir(parents=True, exist_ok=True)
    trust.write_bytes(_TRUST.read_bytes())
    # Debian's own merged folders: the packages bring files below both names.
    subprocess.run(
        ["chroot", str(root), "/usr/bin/python3", "-c", "import ssl, sqlite3, ctypes, lzma"], check=True
    )


if __name__ == "__main__":
    for chosen in (RUN, BUILD):
        print(base_folder(chosen))
