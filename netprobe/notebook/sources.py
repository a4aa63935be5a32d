"""Opens a fleet: from the directory of an evidence bundle, or from a collector's bus by its URL."""

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

    A bus needs *seed*, the file with an operator's nkey seed; *ca* is a file of CA certificates, if the bus
    uses TLS with a private CA. Raises :class:`~netprobe.errors.InputError` if a bundle or a seed cannot be
    read, :class:`~netprobe.errors.SystemRefusedError` if the collector does not answer.
    """
    if isinstance(place, str) and place.startswith(_SCHEMES):
        return Fleet(_ask(place, seed, ca))
    if "://" in str(place):
        raise InputError(f"is neither a directory nor a URL with {', '.join(_SCHEMES)}", where=str(place))
    bundle = read_bundle(Path(place))
    return Fleet(bundle.snapshot, bundle.reports)


def _ask(url: str, seed: str | PathLike[str] | None, ca: str | PathLike[str] | None) -> Snapshot:
    """Ask in a separate thread, because a notebook already runs in an event loop."""
    from netprobe.bus.keys import read_seed  # noqa: PLC0415
    from netprobe.bus.login import ServerTrust  # noqa: PLC0415
    from netprobe.bus.operator import Access, ask_snapshot  # noqa: PLC0415 - bundles need no bus

    if seed is None:
        raise InputError("needs seed=FILE, the nkey seed of an operator", where=url)
    trust = ServerTrust(Path(ca)) if ca is not None else None
    access = Access(url, read_seed(Path(seed)), trust)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, ask_snapshot(access)).result()
