"""The options of a visit: ``netprobe verify --context`` starts agents in clusters and removes them again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from netprobe.cli.options.clusters import ContextSelection, context_options
from netprobe.model.units import SECOND_NS

if TYPE_CHECKING:
    from netprobe.workflows.visit.session import VisitSettings

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class VisitOptions:
    """What the options say."""

    selection: ContextSelection
    report: Path | None
    image: str
    rounds: int
    interval_ns: int
    patience_s: float

    @property
    def is_asked(self) -> bool:
        """Whether clusters are to be visited at all."""
        return self.selection.is_given

    def settings(self) -> VisitSettings:
        """How clusters are visited; `InputError` where no image is named."""
        from netprobe.cli.options.images import expect_image
        from netprobe.workflows.visit.session import VisitSettings

        expect_image(self.image, where="--image")
        return VisitSettings(self.image, self.rounds, self.interval_ns, self.patience_s)


def visit_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options of a visit; it receives them as *visiting*."""

    @functools.wraps(command)
    def with_visiting(
        *args: object, selection: ContextSelection, report: Path | None, image: str, rounds: int,
        interval: float, patience: float, **rest: object,
    ) -> R:  # fmt: skip
        visiting = VisitOptions(selection, report, image, rounds, round(interval * SECOND_NS), patience)
        return command(*args, visiting=visiting, **rest)

    options = (
        context_options,
        click.option("--report", type=click.Path(path_type=Path), metavar="DIR",
                     help="Also write reports and pictures of the visit to DIR."),
        click.option("--image", default="", envvar="NETPROBE_AGENT_IMAGE", show_envvar=True, metavar="IMAGE",
                     help="The agents' image, in a registry of yours; needed for a visit."),
        click.option("--rounds", type=click.IntRange(3, 1000), default=8, show_default=True, metavar="N",
                     help="How often every check runs."),
        click.option("--interval", type=click.FloatRange(1.0, 60), default=2.0, show_default=True,
                     metavar="SECONDS", help="How long one round lasts."),
        click.option("--patience", type=click.FloatRange(1.0), default=90.0, show_default=True,
                     metavar="SECONDS", help="How long to wait until the agents run."),
    )  # fmt: skip
    for option in reversed(options):
        with_visiting = option(with_visiting)
    return with_visiting
