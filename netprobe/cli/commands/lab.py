"""``netprobe lab``: several clusters, tunnels and faults inside this machine."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from netprobe.cli.options.help_group import HelpGroup
from netprobe.cli.options.output import form_option
from netprobe.cli.options.registry import RegistryOption


def _default_name() -> str:
    from netprobe.lab.state_folder import DEFAULT_NAME

    return DEFAULT_NAME


def _fault_kinds() -> list[str]:
    from netprobe.lab.faults.registry import KINDS

    return sorted(KINDS)


_name = click.option("--name", metavar="NAME", cls=RegistryOption, default=_default_name, show_default=True,
                     help="Name of the lab.")  # fmt: skip


class FaultKindParam(click.ParamType[str]):
    """The kind of a fault; the lab refuses an unknown one, the registry completes a known one."""

    name = "kind"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Kinds that begin with *incomplete*."""
        del ctx, param
        return [CompletionItem(kind) for kind in _fault_kinds() if kind.startswith(incomplete)]


@click.group(cls=HelpGroup)
def lab() -> None:
    """Several clusters, tunnels and faults inside this machine."""


@lab.command()
@click.option("--topology", type=click.Path(path_type=Path), metavar="FILE",
              help="The topology to build (YAML). Default: three clusters.")  # fmt: skip
@_name
@click.option("--interval", type=click.FloatRange(0.2, 3600), metavar="SECONDS", default=1.0,
              show_default=True, help="How long one round of all checks lasts.")  # fmt: skip
@click.option("--no-agents", is_flag=True, help="Build only the network: no agents, no collector.")
@click.option("--die-with-parent", is_flag=True, help="Take the lab down when the calling process ends.")
def up(topology: Path | None, name: str, interval: float, no_agents: bool, die_with_parent: bool) -> None:
    """Bring a lab up: the network, the agents and the collector."""
    from netprobe.cli.actions.lab import run_up

    run_up(
        name, topology, interval_ns=round(interval * 1e9), with_agents=not no_agents, bound=die_with_parent
    )


@lab.command()
@_name
def down(name: str) -> None:
    """Take a lab down; also removes what a dead one left behind."""
    from netprobe.cli.actions.lab import run_down

    run_down(name)


@lab.command()
@_name
@form_option
def status(name: str, form: str) -> None:
    """Show hosts, processes and faults."""
    from netprobe.cli.actions.lab import run_status

    run_status(name, form=form)


@lab.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_name
@click.argument("host")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def execute(context: click.Context, name: str, host: str, command: tuple[str, ...]) -> None:
    """Run a command in a host's network namespace, on this terminal; exit with its exit code."""
    from netprobe.cli.actions.lab import run_exec

    context.exit(run_exec(name, host, command))


@lab.group()
def fault() -> None:
    """Inject faults and remove them."""


@fault.command(name="list")
@_name
@form_option
def list_faults(name: str, form: str) -> None:
    """Show which faults can be injected, and which are active."""
    from netprobe.cli.actions.lab import run_fault_list

    run_fault_list(name, form=form)


@fault.command(name="add")
@_name
@form_option
@click.argument("kind", type=FaultKindParam())
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]...")
def add_fault(name: str, form: str, kind: str, parameters: tuple[str, ...]) -> None:
    """Inject a fault of KIND with its parameters; `netprobe lab fault list` shows both."""
    from netprobe.cli.actions.lab import run_fault_add

    run_fault_add(name, kind, parameters, form=form)


@fault.command(name="remove")
@_name
@click.argument("fault_id", metavar="ID|all")
def remove_fault(name: str, fault_id: str) -> None:
    """Remove the fault of that id, or all."""
    from netprobe.cli.actions.lab import run_fault_remove

    run_fault_remove(name, fault_id)
