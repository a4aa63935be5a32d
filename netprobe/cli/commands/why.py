"""``netprobe why``: whether one end reaches another, layer by layer, and one sentence that says why.

Exit codes: 0 it does, 1 it does not or only in part, or nobody knows, 2 the question could not be asked.
"""

from __future__ import annotations

import click

from netprobe.analysis.queries.endpoints import find_end
from netprobe.analysis.queries.path_explanation import explain_pair, find_questions
from netprobe.analysis.queries.slow_probes import ProbePath, find_patient_questions
from netprobe.cli.options.evidence import evidence_option, weigh_by_gateways
from netprobe.cli.options.output import form_option, print_view
from netprobe.cli.options.source import Source, source_options
from netprobe.errors import InputError
from netprobe.model.check import Check
from netprobe.model.status import PathState
from netprobe.render.component_state import read_component_states
from netprobe.render.terminal.path_explanation import why_document, why_table

_MOST_ASKED = 6
"""Checks asked on demand at most."""
_NOBODY = "nothing: no agent here is alive to ask it"


@click.command()
@click.argument("origin", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@source_options
@form_option
@click.option("--ask", is_flag=True, help="Also ask a few checks now; needs a live lab or collector.")
@click.option("--patient", is_flag=True,
              help="Also ask for minutes: slow connections, quiet flows. Live only.")  # fmt: skip
@evidence_option
@click.pass_context
def why(
    context: click.Context, *, origin: str, target: str, source: Source, form: str, ask: bool, patient: bool,
    evidence: bool,
) -> None:  # fmt: skip
    """Say why SOURCE reaches TARGET, or why not, layer by layer.

    SOURCE and TARGET are clusters, nodes (cluster/node) or agents (cluster/node/plane); TARGET may also be
    a service (cluster/namespace/name). A cluster may be written by its first words.
    """
    snapshot = weigh_by_gateways(source.load()) if evidence else source.load()
    ends = find_end(snapshot.inventory, origin), find_end(snapshot.inventory, target)
    answer = explain_pair(snapshot, *ends, feels=read_component_states(snapshot).of)
    asked = _ask(source, find_questions(snapshot, answer, most=_MOST_ASKED)) if ask else ()
    asked += _ask_patiently(source, find_patient_questions(snapshot, answer)) if patient else ()
    print_view(
        form,
        table=lambda: why_table(snapshot, answer, asked=asked),
        document=lambda: why_document(snapshot, answer, asked=asked),
    )
    context.exit(0 if answer.state is PathState.UP else 1)


def _ask(source: Source, checks: tuple[Check, ...]) -> tuple[str, ...]:
    _expect_live(source, "--ask")
    from netprobe.workflows.on_demand import ask_now  # noqa: PLC0415 - a bundle is read without any bus

    return ask_now(source.find_access(), checks) if checks else (_NOBODY,)


def _ask_patiently(source: Source, question: tuple[ProbePath, tuple[Check, ...]] | None) -> tuple[str, ...]:
    _expect_live(source, "--patient")
    from netprobe.workflows.on_demand import ask_patiently  # noqa: PLC0415 - a bundle is read without any bus

    return ask_patiently(source.find_access(), *question) if question else (_NOBODY,)


def _expect_live(source: Source, option: str) -> None:
    if source.bundle is not None:
        raise InputError(f"{option} needs a live lab or collector; a bundle cannot answer")
