"""``netprobe status``: what is installed in which cluster, and what hinders it.

Exit codes: 0 all report, 1 some do not or cannot be read, 2 the question was wrong.
"""

from __future__ import annotations

import asyncio

import click

from netprobe.cli.options.clusters import SelectedContexts, fleet_options
from netprobe.cli.options.output import form_option, print_view
from netprobe.deploy.install.status import ClusterInstallation, look
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.clusters import name_clusters
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.errors import NetprobeError
from netprobe.model.names import ClusterName
from netprobe.render.terminal.install_status import InstallStatus, installed_document, installed_table


@click.command()
@fleet_options
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=20.0, show_default=True,
              metavar="SECONDS", help="How long one cluster may take.")  # fmt: skip
@form_option
@click.pass_context
def status(context: click.Context, *, chosen: SelectedContexts, timeout_s: float, form: str) -> None:
    """Show what netprobe has in each cluster: agents that report, the collector, what is missing."""
    seen = asyncio.run(_look(chosen, timeout_s))
    print_view(form, table=lambda: installed_table(seen), document=lambda: installed_document(seen))
    context.exit(0 if all(one.is_good for one in seen) else 1)


async def _look(chosen: SelectedContexts, timeout_s: float) -> tuple[InstallStatus, ...]:
    names = name_clusters(chosen.contexts)
    found = await asyncio.gather(*(_look_at(one, names[one], timeout_s) for one in chosen.contexts))
    return tuple(_seen(name, one) for name, one in zip(names.values(), found, strict=True))


async def _look_at(context: Context, name: ClusterName, timeout_s: float) -> ClusterInstallation | str:
    try:
        async with asyncio.timeout(timeout_s), open_api(context) as api:
            return await look(api, name)
    except TimeoutError:
        return f"{context}: {context.server} gave no answer within {timeout_s:g} s"
    except NetprobeError as error:
        return str(error)


def _seen(name: ClusterName, found: ClusterInstallation | str) -> InstallStatus:
    if isinstance(found, str):
        return InstallStatus(name, {}, (found,), is_good=False)
    told = {one.name.removeprefix("netprobe-"): (one.ready, one.wanted) for one in found.workloads}
    problems = [f"missing: {what}" for what in found.missing] + list(found.hindered)
    problems += [f"no node takes {one.name}" for one in found.workloads if not one.wanted]
    if found.is_absent:
        problems = ["not installed: netprobe install --context …"]
    elif found.missing:
        problems.append("half-installed: run `netprobe install` again, or `netprobe uninstall`")
    return InstallStatus(name, told, tuple(problems), is_good=found.is_done)
