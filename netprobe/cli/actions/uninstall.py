"""``netprobe uninstall``: removes everything from several clusters at once."""

from __future__ import annotations

import asyncio

from netprobe.cli.actions.installation import SelectedContexts, open_targets, read_selection
from netprobe.cli.options.clusters import ContextSelection
from netprobe.deploy.install.installation import InstallTarget, unregister
from netprobe.deploy.install.preflight import check_clusters
from netprobe.deploy.install.removal import remove_installation
from netprobe.echo import echo
from netprobe.errors import NetprobeError


def run_uninstall(selection: ContextSelection, hub: str | None, *, timeout_s: float) -> int:
    """Remove everything from the selected clusters; 0 all are clean, 1 some are not."""
    return asyncio.run(_uninstall(read_selection(selection, hub), timeout_s))


async def _uninstall(chosen: SelectedContexts, timeout_s: float) -> int:
    contexts = tuple(dict.fromkeys((*chosen.contexts, chosen.hub)))
    async with open_targets(contexts, {}) as targets:
        await check_clusters([target.api for target in targets], verb="delete")
        leaving = [target for target in targets if target.api.context in chosen.contexts]
        hub = next(target for target in targets if target.api.context == chosen.hub)
        try:
            if hub not in leaving:
                await unregister(hub.api, [target.name for target in leaving])
        except NetprobeError as error:
            echo(f"netprobe: {error}", err=True)
            return 1
        return max(await asyncio.gather(*(_remove(target, timeout_s) for target in leaving)))


async def _remove(target: InstallTarget, timeout_s: float) -> int:
    try:
        removed = await remove_installation(target.api, timeout_s=timeout_s)
    except NetprobeError as error:
        echo(f"netprobe: {error}", err=True)
        return 1
    echo(f"{target.name}: {'removed' if removed.was_there else 'nothing was installed'}")
    return 0
