"""``netprobe install``: checks every cluster, then changes them, then waits until the agents report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from netprobe.bus.encryption import expect_encrypted
from netprobe.cli.actions.installation import (
    SelectedContexts,
    open_targets,
    read_declared_selection,
    read_selection,
)
from netprobe.cli.options.clusters import ContextSelection
from netprobe.cli.options.images import expect_image
from netprobe.deploy.install.bus_endpoint import find_outer_bus
from netprobe.deploy.install.installation import (
    InstallTarget,
    install_agents,
    install_hub,
    install_reader,
    register,
    retire_old_reader,
)
from netprobe.deploy.install.objects import (
    BUS_NAME,
    BUS_PORT,
    NAMESPACE,
    Images,
    extra_objects,
)
from netprobe.deploy.install.preflight import check_clusters
from netprobe.deploy.install.status import ClusterInstallation, read_installation
from netprobe.echo import echo
from netprobe.errors import InputError, NetprobeError

_INNER_BUS = f"tls://{BUS_NAME}.{NAMESPACE}.svc:{BUS_PORT}"
_OUTER_BUS_S = 60.0
_POLL_S = 1.0
_HINDERED_LOOKS = 8
"""So often in a row a hindrance has to be seen until waiting for it to pass ends."""


def run_install(
    selection: ContextSelection, hub: str | None, *, sources: Sequence[str], bus: str | None,
    expose: str | None, images: Images, servers: Sequence[str], wait_s: float,
) -> int:  # fmt: skip
    """Install or update; 0 all agents report, 1 some do not."""
    expect_image(images.agent, where="--agent-image")
    expect_image(images.collector, where="--collector-image")
    chosen = read_declared_selection(selection, hub, sources) if sources else read_selection(selection, hub)
    if bus is not None:
        expect_encrypted(bus, where="--bus")
    return asyncio.run(_install(chosen, images, bus, expose, _servers(servers), wait_s))


async def _install(
    chosen: SelectedContexts,
    images: Images,
    bus: str | None,
    expose: str | None,
    servers: dict[str, str],
    wait_s: float,
) -> int:
    contexts = tuple(dict.fromkeys((chosen.hub, *chosen.contexts)))
    async with open_targets(contexts, servers) as targets:
        await check_clusters(
            [target.api for target in targets],
            verb="create",
            extras=extra_objects(images.extras, of_the_hub=False),
            of_the_hub=extra_objects(images.extras, of_the_hub=True),
        )
        hub, others = targets[0], targets[1:]
        wanted = [target for target in targets if target.api.context in chosen.contexts]
        service = expose or ("LoadBalancer" if others and bus is None else "ClusterIP")
        try:
            await _put(hub, others, wanted, images, bus, service)
        except NetprobeError as error:
            echo(f"netprobe: half-installed: {error}; run it again, or `netprobe uninstall`", err=True)
            return 1
        return 0 if not wait_s or await _wait(targets, wait_s) else 1


async def _put(
    hub: InstallTarget, others: Sequence[InstallTarget],
    wanted: Sequence[InstallTarget], images: Images, bus: str | None,
    service: str,
) -> None:  # fmt: skip
    """First the hub's bus, then who may come in, then the agents."""
    names = [urlsplit(bus).hostname or ""] if bus else []
    now = datetime.now(UTC)
    authority = await install_hub(hub, images, names=names, service=service, now=now, say=echo)
    if others and bus is None:
        bus, names = await find_outer_bus(hub.api, timeout_s=_OUTER_BUS_S)
        await install_hub(hub, images, names=names, service=service, now=now, say=lambda _: None)
    entries = await asyncio.gather(
        *(install_reader(target, is_hub=target is hub, say=echo) for target in wanted)
    )
    await register(hub.api, {key: value for each in entries for key, value in each.items()})
    await asyncio.gather(*(retire_old_reader(target, say=echo) for target in wanted))
    urls = {target.name: bus if target is not hub and bus else _INNER_BUS for target in wanted}
    await asyncio.gather(
        *(install_agents(target, authority, urls[target.name], images, say=echo) for target in wanted)
    )


async def _wait(targets: Sequence[InstallTarget], timeout_s: float) -> bool:
    told = await asyncio.gather(*(_wait_one(target, timeout_s) for target in targets))
    for line in filter(None, told):
        echo(f"netprobe: {line}", err=True)
    return not any(told)


async def _wait_one(target: InstallTarget, timeout_s: float) -> str:
    """Say each step forward; return what is wrong in the end, or nothing."""
    said, hindered = "", 0
    found = ClusterInstallation(target.name)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = await read_installation(target.api, target.name)
                line = f"{target.name}: {describe(found)}"
                if line != said:
                    echo(line)
                    said = line
                if found.is_done:
                    return ""
                hindered = hindered + 1 if found.blockers else 0
                if hindered >= _HINDERED_LOOKS:
                    break
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        pass
    except NetprobeError as error:
        return str(error)
    problem = (
        found.blockers[0] if found.blockers else f"not all report within {timeout_s:g} s: {describe(found)}"
    )
    return f"{target.name}: half-installed: {problem}; run it again, or `netprobe uninstall`"


def describe(found: ClusterInstallation) -> str:
    """How far an installation is, in a few words."""
    if found.is_absent:
        return "not installed"
    parts = [
        f"{one.name.removeprefix('netprobe-')} {one.ready}/{one.wanted}"
        + ("" if one.settled else " (updating)")
        for one in found.workloads
    ]
    return ", ".join(parts)


def _servers(texts: Sequence[str]) -> dict[str, str]:
    servers = {}
    for text in texts:
        name, separator, url = text.partition("=")
        if not separator or urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
            raise InputError(f"{text!r} is not CONTEXT=https://HOST:PORT", where="--api-server")
        servers[name] = url
    return servers
