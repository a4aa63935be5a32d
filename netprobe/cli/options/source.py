"""Where a snapshot comes from: a lab or any collector's bus, now or as it was, or a saved evidence bundle."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from netprobe.cli.options.times import read_moment
from netprobe.errors import InputError
from netprobe.model.snapshot import Snapshot
from netprobe.store.bundle import read_bundle

if TYPE_CHECKING:
    from netprobe.bus.operator import Access

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
    """Certificate and key in one file, shown where the bus asks for one."""
    forwards: Path | None = None
    """The inventory whose forwards lead to the bus."""
    moments: tuple[int, ...] = ()
    """Wall times that are asked for instead of now."""

    def load(self) -> Snapshot:
        """Fetch the snapshot: of the bundle, of the one moment that is asked for, or of now.

        Raises `InputError` where a file cannot be read, and `SurroundingsError` where nobody answers.
        """
        if len(self.moments) > 1:
            told = "may stand once here; `netprobe report diff` compares two moments"
            raise InputError(told, where="--at")
        return self.load_at(self.moments[0] if self.moments else None)

    def load_at(self, at_ns: int | None) -> Snapshot:
        """Fetch the snapshot of the moment *at_ns* (wall time), or of now; raises as :meth:`load`."""
        if self.bundle is not None:
            if at_ns is not None:
                raise InputError("a saved bundle holds one moment only", where="--at")
            return read_bundle(self.bundle).snapshot
        from netprobe.bus.operator import ask_moment, ask_snapshot  # noqa: PLC0415 - a bundle needs no bus

        access = self._find_bus()
        return asyncio.run(ask_snapshot(access) if at_ns is None else ask_moment(access, at_ns))

    def find_access(self) -> Access:
        """Where questions go; `InputError` where the options name no bus that can be asked, now."""
        if self.moments:
            raise InputError("the past cannot be asked anything new", where="--at")
        return self._find_bus()

    def _find_bus(self) -> Access:
        from netprobe.bus.login import ServerTrust  # noqa: PLC0415
        from netprobe.bus.operator import Access  # noqa: PLC0415

        if self.bundle is not None:
            raise InputError("a saved bundle cannot be asked anything new", where="--from")
        if self.url is None:
            from netprobe.lab.access import find_access  # noqa: PLC0415 - a lab needs Linux, a bundle does not

            return find_access(self.lab) if self.lab else find_access()
        if self.seed is None:
            raise InputError("--bus needs --seed FILE, the key that may ask")
        url = self.url
        if self.forwards is not None:
            from netprobe.workflows.ssh_forwards import lead_bus  # noqa: PLC0415 - only those who ask pay for it

            url = lead_bus(url, self.forwards)
        try:
            trust = ServerTrust(self.ca, self.certificate) if self.ca or self.certificate else None
            return Access(url, self.seed.read_text().strip(), trust)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the seed cannot be read: {error}", where=str(self.seed)) from error


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
                     help="Read a saved evidence bundle instead of asking."),
        click.option("--lab", metavar="NAME", envvar="NETPROBE_LAB", show_envvar=True,
                     help="Ask the lab of this name."),
        click.option("--bus", "url", metavar="URL", envvar="NETPROBE_BUS", show_envvar=True,
                     help="Ask the collector on this bus."),
        click.option("--seed", type=click.Path(path_type=Path), metavar="FILE", envvar="NETPROBE_SEED",
                     show_envvar=True,
                     help="The key that may ask; goes with --bus."),
        click.option("--ca", type=click.Path(path_type=Path), metavar="FILE", envvar="NETPROBE_CA",
                     show_envvar=True,
                     help="Who may have signed the bus's certificate."),
        click.option("--certificate", type=click.Path(path_type=Path), metavar="FILE",
                     envvar="NETPROBE_CERTIFICATE", show_envvar=True,
                     help="Certificate and key in one file, where the bus asks for one."),
        click.option("--forwards", type=click.Path(path_type=Path), metavar="FILE",
                     envvar="NETPROBE_FORWARDS", show_envvar=True,
                     help="Reach the bus through SSH, by this inventory's forwards."),
        click.option("--at", multiple=True, metavar="TIME",
                     help="As it stood then, by the collector's history: 15m (ago), 03:00, "
                          "2026-11-25T03:00Z."),
    )  # fmt: skip
    for option in reversed(options):
        with_source = option(with_source)
    return with_source
