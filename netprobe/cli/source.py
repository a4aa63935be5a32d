"""Where a snapshot comes from: a lab, any collector's bus, or a saved evidence bundle."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from netprobe.errors import InputError
from netprobe.model.snapshot import Snapshot
from netprobe.store.bundle import read_bundle

if TYPE_CHECKING:
    from netprobe.bus.ask import Access

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

    def load(self) -> Snapshot:
        """Fetch the snapshot.

        Raises `InputError` where a file cannot be read, and `SurroundingsError` where nobody answers.
        """
        if self.bundle is not None:
            return read_bundle(self.bundle).snapshot
        from netprobe.bus.ask import ask_snapshot  # noqa: PLC0415 - a bundle is read without any bus

        return asyncio.run(ask_snapshot(self.find_access()))

    def find_access(self) -> Access:
        """Where questions go; `InputError` where the options name no bus that can be asked."""
        from netprobe.bus.ask import Access  # noqa: PLC0415
        from netprobe.bus.login import Trust  # noqa: PLC0415

        if self.bundle is not None:
            raise InputError("a saved bundle cannot be asked anything new", where="--from")
        if self.url is None:
            from netprobe.lab.access import find_access  # noqa: PLC0415 - a lab needs Linux, a bundle does not

            return find_access(self.lab) if self.lab else find_access()
        if self.seed is None:
            raise InputError("--bus needs --seed FILE, the key that may ask")
        url = self.url
        if self.forwards is not None:
            from netprobe.cli.forwarding import lead_bus  # noqa: PLC0415 - only those who ask pay for it

            url = lead_bus(url, self.forwards)
        try:
            trust = Trust(self.ca, self.certificate) if self.ca or self.certificate else None
            return Access(url, self.seed.read_text().strip(), trust)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the seed cannot be read: {error}", where=str(self.seed)) from error


def source_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``--from``, ``--lab`` and ``--bus`` with their own; it receives them as *source*."""

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
        **rest: object,
    ) -> R:
        return command(*args, source=Source(bundle, lab, url, seed, ca, certificate, forwards), **rest)

    options = (
        click.option("--from", "bundle", type=click.Path(path_type=Path), metavar="BUNDLE",
                     help="Read a saved evidence bundle instead of asking."),
        click.option("--lab", metavar="NAME", envvar="NETPROBE_LAB", help="Ask the lab of this name."),
        click.option("--bus", "url", metavar="URL", envvar="NETPROBE_BUS",
                     help="Ask the collector on this bus."),
        click.option("--seed", type=click.Path(path_type=Path), metavar="FILE", envvar="NETPROBE_SEED",
                     help="The key that may ask; goes with --bus."),
        click.option("--ca", type=click.Path(path_type=Path), metavar="FILE", envvar="NETPROBE_CA",
                     help="Who may have signed the bus's certificate."),
        click.option("--certificate", type=click.Path(path_type=Path), metavar="FILE",
                     envvar="NETPROBE_CERTIFICATE",
                     help="Certificate and key in one file, where the bus asks for one."),
        click.option("--forwards", type=click.Path(path_type=Path), metavar="FILE",
                     envvar="NETPROBE_FORWARDS",
                     help="Reach the bus through SSH, by this inventory's forwards."),
    )  # fmt: skip
    for option in reversed(options):
        with_source = option(with_source)
    return with_source
