"""Where a snapshot comes from: a lab or a collector's bus, now or at an earlier time, or a bundle."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from netprobe.cli.options.times import read_moment
from netprobe.errors import InputError

if TYPE_CHECKING:
    from netprobe.bus.operator import Access
    from netprobe.model.snapshot import Snapshot

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Source:
    """What the options say: a bundle counts before a bus, a bus before a lab."""

    bundle: Path | None = None
    lab: str | None = None
    url: str | None = None
    seed: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    """Client certificate and key in one file, for a bus with mutual TLS."""
    forwards: Path | None = None
    """The inventory whose forwards lead to the bus."""
    moments: tuple[int, ...] = ()
    """Wall times to load instead of now."""

    def load(self) -> Snapshot:
        """Fetch the snapshot: of the bundle, of the one moment that is asked for, or of now.

        Raises `InputError` where a file cannot be read, and `SystemRefusedError` where nothing answers.
        """
        if len(self.moments) > 1:
            raise InputError(
                "can be given once; to compare two moments use `netprobe report diff`", where="--at"
            )
        return self.load_at(self.moments[0] if self.moments else None)

    def load_at(self, at_ns: int | None) -> Snapshot:
        """Fetch the snapshot of the moment *at_ns* (wall time), or of now; raises as :meth:`load`."""
        if self.bundle is not None:
            if at_ns is not None:
                raise InputError("a bundle holds one moment; leave --at out", where="--at")
            from netprobe.store.bundle import read_bundle

            return read_bundle(self.bundle).snapshot
        import asyncio

        from netprobe.bus.operator import ask_moment, ask_snapshot

        access = self._find_bus()
        return asyncio.run(ask_snapshot(access) if at_ns is None else ask_moment(access, at_ns))

    def find_access(self) -> Access:
        """Where questions go; `InputError` where the options name no bus that can be asked, now."""
        if self.moments:
            raise InputError("cannot be combined with live checks", where="--at")
        return self._find_bus()

    def _find_bus(self) -> Access:
        from netprobe.bus.keys import read_seed
        from netprobe.bus.login import ServerTrust
        from netprobe.bus.operator import Access

        if self.bundle is not None:
            raise InputError("a bundle cannot answer live checks; ask a lab or a collector", where="--from")
        if self.url is None:
            from netprobe.lab.access import find_access

            return find_access(self.lab) if self.lab else find_access()
        if self.seed is None:
            raise InputError("--bus needs --seed FILE, your operator key")
        at = ""
        if self.forwards is not None:
            from netprobe.workflows.ssh_forwards import lead_bus

            at = lead_bus(self.url, self.forwards)
        trust = ServerTrust(self.ca, self.certificate) if self.ca or self.certificate else None
        return Access(self.url, read_seed(self.seed), trust, at)


def source_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``--from``, ``--lab``, ``--bus`` and ``--at``; it receives them as *source*."""

    @functools.wraps(command)
    def with_source(
        *args: object,
        bundle: Path | None,
        lab: str | None,
        url: str | None,
        seed: Path | None,
        ca: Path | None,
        certificate: Path | None,
        forwards: Path | None,
        at: tuple[str, ...],
        **rest: object,
    ) -> R:
        moments = tuple(read_moment(text, now_ns=time.time_ns()) for text in at)
        source = Source(bundle, lab, url, seed, ca, certificate, forwards, moments)
        return command(*args, source=source, **rest)

    options = (
        click.option("--from", "bundle", type=click.Path(path_type=Path), metavar="BUNDLE",
                     help="Read a saved evidence bundle instead of asking a collector."),
        click.option("--lab", metavar="NAME", envvar="NETPROBE_LAB", show_envvar=True,
                     help="Ask the lab of this name."),
        click.option("--bus", "url", metavar="URL", envvar="NETPROBE_BUS", show_envvar=True,
                     help="Ask the collector on this bus."),
        click.option("--seed", type=click.Path(path_type=Path), metavar="FILE", envvar="NETPROBE_SEED",
                     show_envvar=True,
                     help="Your operator key; needed with --bus."),
        click.option("--ca", type=click.Path(path_type=Path), metavar="FILE", envvar="NETPROBE_CA",
                     show_envvar=True,
                     help="CA certificates that may have signed the bus's certificate."),
        click.option("--certificate", type=click.Path(path_type=Path), metavar="FILE",
                     envvar="NETPROBE_CERTIFICATE", show_envvar=True,
                     help="Client certificate and key in one file, for a bus with mutual TLS."),
        click.option("--forwards", type=click.Path(path_type=Path), metavar="FILE",
                     envvar="NETPROBE_FORWARDS", show_envvar=True,
                     help="Reach the bus through SSH, as this inventory's forwards say."),
        click.option("--at", multiple=True, metavar="TIME",
                     help="The state at that time, from the collector's history: 15m (ago), 03:00, "
                          "2026-11-25T03:00Z."),
    )  # fmt: skip
    for option in reversed(options):
        with_source = option(with_source)
    return with_source
