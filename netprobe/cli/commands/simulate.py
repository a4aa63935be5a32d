"""``netprobe simulate``: a fleet without packets, and whether netprobe names what is broken in it.

Exit codes: 0 every fault named right and nothing else reported, 1 otherwise, 2 the options are wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

import click

from netprobe.cli.options.output import form_option
from netprobe.cli.options.registry import RegistryChoice


def _cluster_joins() -> Iterable[str]:
    from netprobe.simulate.fleet import ClusterJoin

    return ClusterJoin


def _fault_kinds() -> Iterable[str]:
    from netprobe.simulate.faults import KINDS

    return sorted(KINDS)


class SimulateCommand(click.Command):
    """Lists the kinds of faults below the options, when the help is shown."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of the registry."""
        self.epilog = "\b\n" + fill(
            f"Kinds of faults: {', '.join(_fault_kinds())}.", 76, break_on_hyphens=False
        )
        super().format_epilog(ctx, formatter)


@click.command(cls=SimulateCommand)
@click.option("--clusters", type=int, metavar="N", default=3, show_default=True, help="How many clusters.")
@click.option("--nodes", type=int, metavar="N", default=4, show_default=True,
              help="Nodes per cluster, gateways included.")  # fmt: skip
@click.option("--links", "joined", type=RegistryChoice(_cluster_joins), default="full", show_default=True,
              help="Every pair of clusters linked, all to c01, or a ring with chords.")  # fmt: skip
@click.option("--gateways", type=int, metavar="N", default=1, show_default=True,
              help="Gateways per cluster, which share its links.")  # fmt: skip
@click.option("--fault", "faults", multiple=True, metavar="'KIND KEY=VALUE …'",
              help="A labelled fault, with start= and stop= in intervals; may be repeated.")  # fmt: skip
@click.option("--intervals", type=int, metavar="N", show_default="30", help="How many intervals to play.")
@click.option("--hours", type=float, metavar="N", default=0.0, help="How many hours to play instead.")
@click.option("--days", type=float, metavar="N", default=0.0, help="How many days, added to --hours.")
@click.option("--interval", "interval_s", type=float, metavar="SECONDS", default=10.0, show_default=True,
              help="How long an interval lasts.")  # fmt: skip
@click.option("--seed", type=int, metavar="N", default=1, show_default=True,
              help="Seed of everything that is random.")  # fmt: skip
@click.option("--evidence", type=click.Path(path_type=Path), metavar="DIR",
              help="Write the last moment as an evidence bundle, for show --from.")  # fmt: skip
@click.option("--history", is_flag=True, help="Keep every report in the evidence, too.")
@form_option
@click.pass_context
def simulate(  # noqa: PLR0913 - one argument per option
    context: click.Context, *, clusters: int, nodes: int, joined: str, gateways: int, faults: tuple[str, ...],
    intervals: int | None, hours: float, days: float, interval_s: float, seed: int, evidence: Path | None,
    history: bool, form: str,
) -> None:  # fmt: skip
    """Play a fleet with labelled faults, without packets, and score what netprobe reports.

    Planner, analysis and localisation are the real ones; only the measurements are simulated. Example:

    \b
      netprobe simulate --clusters 5 --nodes 10 \\
        --fault 'tunnel-down source=c01 target=c02 stop=24'
    """  # noqa: D301 - click knows a real backspace
    from netprobe.cli.actions.simulate import Simulation, run_simulate

    simulation = Simulation(
        clusters, nodes, joined, gateways, faults, intervals, hours * 3600 + days * 86400, interval_s, seed,
        evidence, history,
    )  # fmt: skip
    context.exit(run_simulate(simulation, form=form))
