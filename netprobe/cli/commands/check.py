"""``netprobe check``: one check on demand, run by the agent itself.

Exit codes: 0 reached, 1 not reached, 2 the check could not be run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from netprobe.cli.options.output import form_option
from netprobe.cli.options.registry import RegistryOption
from netprobe.cli.options.source import Source, source_options


def _probe_kinds() -> Iterable[str]:
    from netprobe.craft.registry import CRAFT_KINDS
    from netprobe.probes.registry import KINDS

    return sorted({*KINDS, *CRAFT_KINDS})


@click.command()
@click.argument("asker", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@source_options
@click.option("--inventory", "path", type=click.Path(path_type=Path), metavar="FILE",
              help="Run the host's own tools over SSH; needs no agent and no bus.")  # fmt: skip
@click.option("--probe", "kind", metavar="KIND", cls=RegistryOption, names=_probe_kinds, help="One of %s.")
@click.option("--port", type=int, metavar="N", help="Destination port, for kinds that have one.")
@click.option("--size", type=int, default=0, metavar="N", help="Size of the whole IP packet in bytes.")
@click.option("--name", default="", metavar="NAME", help="DNS name to resolve, HTTP host, TLS server name.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.001, 7_200), metavar="S",
              help="Seconds to wait for the answer.")  # fmt: skip
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE",
              help="A further parameter of the kind; may be repeated.")  # fmt: skip
@click.option("--count", type=click.IntRange(1, 100), metavar="N",
              help="Ask N times; by default once, or once from each source port.")  # fmt: skip
@click.option("--packet", metavar="LAYERS",
              help="Send this packet, such as 'IP()/UDP(dport=53)', and show what answers.")  # fmt: skip
@click.option("--pcap", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write what was sent and heard as pcapng: --packet and the kinds of VPNs.")  # fmt: skip
@click.option("-4", "version", flag_value=4, type=int, help="Use IPv4.")
@click.option("-6", "version", flag_value=6, type=int, help="Use IPv6.")
@form_option
@click.pass_context
def check(
    context: click.Context, /, asker: str, target: str, *, source: Source, path: Path | None, form: str,
    **asked: object,
) -> None:  # fmt: skip
    """Let the agent SOURCE check TARGET once, now.

    SOURCE is cluster/node or cluster/node/plane; a cluster name may be shortened to its first words. TARGET
    is an agent (cluster/node/plane), a node (cluster/node), a service (cluster/namespace/service), a DNS
    server (cluster/dns) or an address. If no agent answers and the node is reached over SSH, its own tools
    are used instead. Exit code 0 if TARGET is reached, 1 if not, 2 if the check could not be run.
    """
    from netprobe.cli.actions.check import run_check

    context.exit(run_check(source, path, asker, target, asked, form=form))
