"""``netprobe why``: whether SOURCE reaches TARGET, layer by layer, and one sentence that says why.

Exit codes: 0 it does, 1 it does not, only in part, or it is unknown, 2 the question could not be asked.
"""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.options.evidence import EvidenceChoice, evidence_option
from netprobe.cli.options.output import form_option
from netprobe.cli.options.source import Source, source_options


@click.command()
@click.argument("origin", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@source_options
@form_option
@click.option("--ask", is_flag=True, help="Also run a few checks now; needs a live lab or collector.")
@click.option("--patient", is_flag=True,
              help="Also run checks that take minutes: slow connections, idle flows. Live only.")  # fmt: skip
@click.option("--pcap", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write what --ask and --patient sent and heard as pcapng.")  # fmt: skip
@evidence_option
@click.pass_context
def why(  # noqa: PLR0913 - one parameter per option
    context: click.Context, *, origin: str, target: str, source: Source, form: str, ask: bool, patient: bool,
    pcap: Path | None, evidence: EvidenceChoice,
) -> None:  # fmt: skip
    """Explain why SOURCE reaches TARGET, or why not, layer by layer.

    SOURCE and TARGET are clusters, nodes (cluster/node) or agents (cluster/node/plane); TARGET may also be
    a service (cluster/namespace/name). A cluster name may be shortened to its first words.
    """
    from netprobe.cli.actions.why import run_why

    context.exit(
        run_why(source, origin, target, form=form, ask=ask, patient=patient, evidence=evidence, pcap=pcap)
    )
