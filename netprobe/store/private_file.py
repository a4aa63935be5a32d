"""Files that only their owner may read, replaced whole: a crash leaves the old file or the new one."""

from __future__ import annotations

import os
from pathlib import Path

from netprobe.errors import SystemRefusedError


def replace_file(path: Path, text: str) -> None:
    """Write *text* to *path* whole, for its owner only."""
    new = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise SystemRefusedError(f"{path}: cannot be written: {error.strerror}") from error
