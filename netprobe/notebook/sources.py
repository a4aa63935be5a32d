"""From a place to a fleet: a directory is a bundle, ``nats://`` or ``tls://`` a collector's bus."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path

from netprobe.errors import InputError
from netprobe.model.snapshot import Snapshot
from netprobe.notebook.fleet import Fleet
from netprobe.store.bundle import read_bundle

_SCHEMES = ("nats://", "tls://", "ws://", "wss://")


def open_fleet(
    place: str | PathLike[str],
    *,
    seed: str | PathLike[str] | None = None,
    ca: str | PathLike[str] | None = None,
) -> Fleet:
    """The fleet at *place*: an evidence bundle's directory, or the URL of a collector's bus.

    A bus needs *seed*, the file with the key that may ask; *ca* is the file of certificates to trust where it
    speaks TLS and they are not the machine's. Raises :class:`~netprobe.errors.InputError` where
    a bundle or a seed cannot be read, :class:`~netprobe.errors.SystemRefusedError` where nobody answers.
    """
    if isinstance(place, str) and place.startswith(_SCHEMES):
        return Fleet(_ask(place, seed, ca))
    if "://" in str(place):
        raise InputError(f"is neither a directory nor a URL with {', '.join(_SCHEMES)}", where=str(place))
    bundle = read_bundle(Path(place))
    return Fleet(bundle.snapshot, bundle.reports)


def _ask(url: str, seed: str | PathLike[str] | None, ca: str | PathLike[str] | None) -> Snapshot:
    """Ask in a thread of its own: a notebook runs in an event loop already."""
    from netprobe.bus.login import ServerTrust  # noqa: PLC0415
    from netprobe.bus.operator import Access, ask_snapshot  # noqa: PLC0415 - a bundle is read without any bus

    if seed is None:
        raise InputError("needs seed=FILE, the key that may ask", where=url)
    try:
        trust = ServerTrust(Path(ca)) if ca is not None else None
        access = Access(url, Path(seed).read_text().strip(), trust)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the seed cannot be read: {error}", where=str(seed)) from error
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, ask_snapshot(access)).result()
