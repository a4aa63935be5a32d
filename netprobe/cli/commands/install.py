"""``netprobe install``: into several clusters at once, and wait until the agents report.

Exit codes: 0 all report, 1 some do not (each is named with what to do), 2 nothing was changed.
"""

from __future__ import annotations

from collections.abc import Iterable

import click

from netprobe.cli.options.clusters import ContextSelection, context_options, hub_option, sources_option
from netprobe.cli.options.registry import RegistryChoice


def _components() -> Iterable[str]:
    from netprobe.deploy.install.objects import EXTRAS

    return EXTRAS


@click.command()
@context_options
@sources_option
@hub_option
@click.option("--bus", metavar="URL", help="The bus as agents outside the hub reach it, such as "
              "tls://bus.example:4222. Default: the address of the bus's Service.")  # fmt: skip
@click.option("--expose", type=click.Choice(["ClusterIP", "NodePort", "LoadBalancer"]),
              help="Type of the bus's Service. Default: LoadBalancer if a cluster needs it.")  # fmt: skip
@click.option("--agent-image", default="", metavar="IMAGE", envvar="NETPROBE_AGENT_IMAGE", show_envvar=True,
              help="The agents' image, in a registry of yours.")  # fmt: skip
@click.option("--collector-image", default="", metavar="IMAGE", envvar="NETPROBE_COLLECTOR_IMAGE",
              show_envvar=True, help="The collector's image, in a registry of yours.")  # fmt: skip
@click.option("--with", "extras", type=RegistryChoice(_components), multiple=True,
              help="A component of the manifests; may be repeated. Give it at each install.")  # fmt: skip
@click.option("--api-server", "servers", multiple=True, metavar="CONTEXT=URL",
              help="How the hub reaches an API, if not as this machine does; may be repeated.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=1), default=300.0, show_default=True,
              metavar="SECONDS", help="How long to wait until all agents report.")  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Do not wait until agents report.")
@click.pass_context
def install(  # noqa: PLR0913 - one for each option
    context: click.Context, *, selection: ContextSelection, sources: tuple[str, ...], hub: str | None,
    bus: str | None, expose: str | None, agent_image: str, collector_image: str, extras: tuple[str, ...],
    servers: tuple[str, ...], timeout_s: float, no_wait: bool,
) -> None:  # fmt: skip
    """Install agents in clusters and the collector in the hub; run it again to repair or update.

    Every cluster is checked before any cluster is changed. With --from, the selected contexts say where the
    system is; agents go into the clusters that it knows, through those of your contexts that lead there.
    """
    from netprobe.cli.actions.install import run_install
    from netprobe.deploy.install.objects import Images

    images = Images(agent_image, collector_image, tuple(dict.fromkeys(extras)))
    wait_s = 0.0 if no_wait else timeout_s
    code = run_install(
        selection, hub, sources=sources, bus=bus, expose=expose, images=images, servers=servers, wait_s=wait_s
    )
    context.exit(code)
