"""``netprobe intent``: what an intent file says, and intents made from policies or from what is reachable."""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.options.clusters import kubeconfig_option
from netprobe.cli.options.help_group import HelpGroup
from netprobe.cli.options.source import Source, source_options
from netprobe.errors import InputError


@click.group(cls=HelpGroup)
def intent() -> None:
    """Say what should be reachable and what must not be."""


@intent.command()
def schema() -> None:
    """Print the JSON Schema of an intent file, for editors and checks."""
    from netprobe.cli.actions.intent import run_schema

    run_schema()


@intent.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Read FILE and print its rules with patterns and prerequisites expanded."""
    from netprobe.cli.actions.intent import run_check

    run_check(path)


@intent.command("from-networkpolicies")
@click.option("-f", "--filename", "paths", multiple=True, metavar="FILE|DIR", type=click.Path(path_type=Path),
              help="A file or a directory of manifests: NetworkPolicy, Namespace, Pod, lists. May be "
                   "repeated.")  # fmt: skip
@click.option("--context", "name", metavar="NAME", help="Read them from the cluster of this context instead.")
@kubeconfig_option
@click.option("--port", "ports", multiple=True, metavar="PORT",
              help="Also check every pod on this port (tcp/443, udp/8000-8010), beside the ports that pods "
                   "and policies name.")  # fmt: skip
@click.option("--family", type=click.Choice(["4", "6"]), default="4", show_default=True, help="IP version.")
@click.option("-o", "--output", type=click.Choice(["intent", "table"]), default="intent", show_default=True,
              help="An intent file for verify, or the verdicts to read.")  # fmt: skip
def from_networkpolicies(
    *, paths: tuple[Path, ...], name: str | None, files: tuple[Path, ...], ports: tuple[str, ...],
    family: str, output: str,
) -> None:  # fmt: skip
    """Compute who may reach whom, and which NetworkPolicy decides: from manifests, or from a cluster.

    Reading a cluster needs permission to list its pods, namespaces and networkpolicies. Policies apply to
    their own cluster only, so each cluster has an intent of its own.
    """
    if bool(paths) == (name is not None):
        raise InputError("give either manifests (-f PATH) or a cluster (--context NAME)")
    from netprobe.cli.actions.intent_from_policies import run_from_networkpolicies

    run_from_networkpolicies(paths, name, files, ports=ports, version=int(family), output=output)


@intent.command("from-observed")
@source_options
@click.option("--port", "ports", multiple=True, metavar="PORT", default=("icmp", "tcp/9771", "udp/9771"),
              show_default=True, help="A port to check on every endpoint; may be repeated.")  # fmt: skip
@click.option("--responder", "responders", multiple=True, metavar="PORT", default=("udp/9771",),
              show_default=True, help="UDP ports whose listeners always answer.")  # fmt: skip
def from_observed(source: Source, ports: tuple[str, ...], responders: tuple[str, ...]) -> None:
    """Check what is reachable now and write it as an intent: a baseline to review and commit."""
    from netprobe.cli.actions.intent import run_from_observed

    run_from_observed(source, ports, responders)
