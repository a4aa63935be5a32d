"""An archive to attach to a bug report: many small files in one ``tar.gz``, bounded, whole or not there.

Rule: what is too large is left out and named in ``problems.txt``; an archive that a tracker would refuse
helps no one. Members carry no owner, no time and no path of the machine that wrote them.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from netprobe.errors import InputError, SystemRefusedError

FOLDER = "netprobe-gather"
"""What everything is in, so that unpacking makes one directory."""
PROBLEMS = "problems.txt"
MAX_MEMBER_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024
"""Of all members before they are packed."""
_SUFFIXES = (".tar.gz", ".tgz")


def check_archive_path(path: Path) -> None:
    """An :class:`InputError` where *path* cannot become an archive, before anything is read for it."""
    if not path.name.endswith(_SUFFIXES):
        raise InputError(
            f"is not a name for an archive: it ends with {' or '.join(_SUFFIXES)}", where=str(path)
        )
    if path.exists() and not path.is_file():
        raise InputError("is not a file; it was left alone", where=str(path))


def write_archive(path: Path, files: Mapping[str, bytes], problems: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Write *files* by their names below `FOLDER`, for their owner only; return every problem.

    *problems* are what could not be gathered; what is too large is one more.
    """
    kept, too_large = _choose(files)
    problems += too_large
    kept[PROBLEMS] = "".join(f"{' '.join(each.split())}\n" for each in problems or ("none",)).encode()
    raw = _pack(kept)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            try:
                file.write(raw)
                file.flush()
                Path(file.name).replace(path)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SystemRefusedError(f"{path}: cannot be written: {error.strerror or error}") from error
    return problems


def _choose(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """What is written, smallest first, and what is too large."""
    kept: dict[str, bytes] = {}
    problems = []
    total = 0
    for name, raw in sorted(files.items(), key=lambda one: (len(one[1]), one[0])):
        if len(raw) > MAX_MEMBER_BYTES or total + len(raw) > MAX_TOTAL_BYTES:
            problems.append(f"{name}: left out, because it has {len(raw):,} bytes")
        else:
            kept[name] = raw
            total += len(raw)
    return kept, tuple(problems)


def _pack(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, raw in sorted(files.items()):
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return packed.getvalue()
