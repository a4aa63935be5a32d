"""``netprobe clusters``: the clusters of a kubeconfig, and what they are.

Exit codes: 0 all could be read, 1 some could not or, with ``--probe``, do not answer as claimed, 2 the
options are wrong.
"""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.options.clusters import ContextSelection, context_options, forwards_option, sources_option
from netprobe.cli.options.output import form_option
from netprobe.errors import InputError


@click.command()
@context_options
@click.option("--name-pattern", metavar="REGEX", envvar="NETPROBE_NAME_PATTERN", show_envvar=True,
              help="How to read context names: groups environment, region, ordinal.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=20.0, show_default=True,
              metavar="SECONDS", help="How long one cluster may take.")  # fmt: skip
@sources_option
@click.option("--probe", is_flag=True,
              help="With --from: ask each declared API server whether it answers.")  # fmt: skip
@forwards_option
@form_option
@click.pass_context
def clusters(
    context: click.Context, *, selection: ContextSelection, name_pattern: str | None, timeout_s: float,
    sources: tuple[str, ...], probe: bool, forwards: Path | None, form: str,
) -> None:  # fmt: skip
    """List clusters: version, reachability, address ranges, nodes, agents, multi-cluster system.

    Read-only; only the API server is asked. Exit code 1 if a cluster cannot be read, or, with --probe, does
    not answer or contradicts what is claimed about it.
    """
    from netprobe.cli.actions.clusters import run_clusters, run_declared_clusters

    if probe and not sources:
        raise InputError("needs --from: it asks the API servers that a system declares", where="--probe")
    if sources:
        code = run_declared_clusters(
            selection, sources, probe=probe, timeout_s=timeout_s, forwards=forwards, form=form
        )
    else:
        code = run_clusters(
            selection, name_pattern=name_pattern, timeout_s=timeout_s, forwards=forwards, form=form
        )
    context.exit(code)
