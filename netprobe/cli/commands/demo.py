"""``netprobe demo``: the main job, shown once from end to end on real packets.

Builds the lab, waits for a healthy map, injects faults one after another, names each, writes everything down,
takes everything away. The exit code is 0 only if every fault was named right, in time, and nothing else was
found.
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", default=Path("demo"),
              show_default=True,
              help="Folder to write into; what an earlier demo wrote there is replaced.")  # fmt: skip
@click.option("--interval", "interval_s", type=click.FloatRange(0.5, 60), metavar="SECONDS", default=1.0,
              show_default=True, help="How long one round of all checks lasts.")  # fmt: skip
@click.pass_context
def demo(context: click.Context, output: Path, interval_s: float) -> None:
    """Three clusters, real tunnels, real faults: each injected, each named."""
    from netprobe.cli.actions.demo import run_demo

    context.exit(run_demo(output, interval_s=interval_s))
