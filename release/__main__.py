"""``python -m release resolve | verify | arguments | bills | sums``: the parts of ``make release``.

Exit codes: 0 done, 2 not, with one line that says why.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from netprobe import __version__
from release.bases import ReleaseError, get_over_https, read_bases, resolve, verify, write_bases
from release.sbom import make_bill, read_lock

ROOT = Path(__file__).parents[1]
LOCKS = {
    "netprobe-agent": ("agents/requirements.lock", ("BASE",)),
    "netprobe": ("requirements-collector.lock", ("BASE", "NATS")),
}
"""By image its lock file, and the bases whose files are in it."""


def main(argv: list[str] | None = None) -> None:
    """Do one part."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("part", choices=["resolve", "verify", "arguments", "bills", "sums"])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "release")
    asked = parser.parse_args(argv)
    try:
        {"resolve": _resolve, "verify": _verify, "arguments": _arguments, "bills": _bills, "sums": _sums}[
            asked.part
        ](asked.folder)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        sys.exit(2)


def _resolve(_: Path) -> None:
    """Ask the registries and write the digests; a person looks at the difference and commits it."""
    write_bases(tuple(resolve(base, get_over_https) for base in read_bases()))


def _verify(_: Path) -> None:
    for base in read_bases():
        verify(base, get_over_https)


def _arguments(_: Path) -> None:
    """Print what a build is given."""
    print(" ".join(f"--build-arg {base.argument}={base.pinned}" for base in read_bases()))


def _bills(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bases = {base.argument: base for base in read_bases()}
    for image, (lock, names) in LOCKS.items():
        libraries = read_lock((ROOT / lock).read_text())
        bill = make_bill(image, __version__, libraries, tuple(bases[name] for name in names))
        (folder / f"{image}.cdx.json").write_text(bill)


def _sums(folder: Path) -> None:
    """SHA256SUMS of everything in *folder*, which ``sha256sum --check`` reads."""
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and not path.name.startswith("SHA256SUMS")
    )
    if not files:
        raise ReleaseError(f"{folder}: there is nothing")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    main()
