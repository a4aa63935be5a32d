"""``netprobe status``: reads every cluster at once and says what is missing or blocked."""

from __future__ import annotations

import asyncio

from netprobe.cli.actions.installation import SelectedContexts, read_selection
from netprobe.cli.actions.output import print_view
from netprobe.cli.options.clusters import ContextSelection
from netprobe.deploy.install.status import ClusterInstallation, read_installation
from netprobe.discovery.k8s.client import open_api
from netprobe.discovery.k8s.clusters import name_clusters
from netprobe.discovery.k8s.kubeconfig import Context
from netprobe.errors import NetprobeError
from netprobe.model.names import ClusterName
from netprobe.render.terminal.install_status import InstallStatus, installed_document, installed_table


def run_status(selection: ContextSelection, hub: str | None, *, timeout_s: float, form: str) -> int:
    """Print what each cluster has; 0 everything reports, 1 something does not."""
    chosen = read_selection(selection, hub)
    seen = asyncio.run(_read_clusters(chosen, timeout_s))
    print_view(form, table=lambda: installed_table(seen), document=lambda: installed_document(seen))
    return 0 if all(one.is_good for one in seen) else 1


async def _read_clusters(chosen: SelectedContexts, timeout_s: float) -> tuple[InstallStatus, ...]:
    names = name_clusters(chosen.contexts)
    found = await asyncio.gather(*(_read_cluster(one, names[one], timeout_s) for one in chosen.contexts))
    return tuple(_summarise(name, one) for name, one in zip(names.values(), found, strict=True))


async def _read_cluster(context: Context, name: ClusterName, timeout_s: float) -> ClusterInstallation | str:
    try:
        async with asyncio.timeout(timeout_s), open_api(context) as api:
            return await read_installation(api, name)
    except TimeoutError:
        return f"{context}: {context.server} gave no answer within {timeout_s:g} s"
    except NetprobeError as error:
        return str(error)


def _summarise(name: ClusterName, found: ClusterInstallation | str) -> InstallStatus:
    if isinstance(found, str):
        return InstallStatus(name, {}, (found,), is_good=False)
    told = {one.name.removeprefix("netprobe-"): (one.ready, one.wanted) for one in found.workloads}
    problems = [f"missing: {what}" for what in found.missing] + list(found.blockers)
    problems += [f"no node takes {one.name}" for one in found.workloads if not one.wanted]
    if found.is_absent:
        problems = ["not installed: netprobe install --context …"]
    elif found.missing:
        problems.append("half-installed: run `netprobe install` again, or `netprobe uninstall`")
    return InstallStatus(name, told, tuple(problems), is_good=found.is_done)
