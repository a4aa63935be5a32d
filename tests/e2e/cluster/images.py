"""Images of a single static program, as archives that containerd imports: no registry, no build tool.

Rule: an image is never tagged ``latest``, which would make the kubelet ask a registry for it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

PAUSE = "netprobe.test/pause:1"
COREDNS = "netprobe.test/coredns:1"


def pack_program(name: str, program: Path, entrypoint: tuple[str, ...], *, at: Path) -> Path:
    """Write the image *name* that holds *program* below its own name, to *at*."""
    layer = _tar({program.name: program.read_bytes()})
    digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint)},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    files = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    at.write_bytes(_tar(files))
    return at


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
