"""``netprobe verify``: is the network as people mean it, asked now, cell by cell.

Exit codes: 0 nothing broken and no leak, 1 something is, 2 the question was wrong or could not be asked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import click

from netprobe.analysis.intent.expand import expand_cells
from netprobe.analysis.intent.judge import judge_cells
from netprobe.analysis.intent.read import load_intent
from netprobe.cli.output import report_options
from netprobe.cli.source import Source, source_options
from netprobe.cli.verifying import see_cells
from netprobe.errors import InputError
from netprobe.model.intent import CellVerdict, Judged
from netprobe.render.forms.subject import Subject
from netprobe.render.verify import Verification


@click.command()
@click.option("-f", "--file", "path", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="The intent.")  # fmt: skip
@source_options
@report_options
@click.pass_context
def verify(context: click.Context, *, path: Path, source: Source, tell: Callable[[Subject], None]) -> None:
    """Compare what is reachable now with what the intent FILE says.

    Exit code 0 if nothing is broken and nothing leaks, 1 if something is, 2 if it could not be asked, or if
    nothing at all could be proven.
    """
    intent = load_intent(path, today=dt.datetime.now(tz=dt.UTC).date())
    access = source.find_access()
    inventory = source.load().inventory
    cells = expand_cells(intent, inventory)
    if not cells:
        raise InputError(
            "means nobody in this fleet: no group holds an endpoint that can ask", where=str(path)
        )
    sights = see_cells(access, cells, agent_port=inventory.agent_port, asked_by="verify")
    judged = tuple(judge_cells(cells, sights, responders=intent.responders))
    tell(Verification(judged, {rule.name: rule.where for rule in intent.rules if rule.where}))
    context.exit(exit_code(judged))


def exit_code(judged: tuple[Judged, ...]) -> int:
    """0, 1, or 2 where nothing at all was proven."""
    seen = {one.verdict for one in judged}
    if seen & {CellVerdict.LEAK, CellVerdict.BROKEN}:
        return 1
    return 2 if seen == {CellVerdict.UNPROVEN} else 0
