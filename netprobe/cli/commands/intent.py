"""``netprobe intent``: what an intent file says, before anything is asked."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from pathlib import Path

import click
import msgspec

from netprobe.analysis.intent.availability import find_absent
from netprobe.analysis.intent.baseline import Baseline, question_of, write_baseline
from netprobe.analysis.intent.document import load_intent, parse_span
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.analysis.netpol.derivation import Door, derive
from netprobe.analysis.netpol.manifests import Manifests, load_manifests, read_manifests
from netprobe.analysis.netpol.policy import PolicyProtocol
from netprobe.analysis.netpol.statements import PolicyStatement, find_statements, intent_document
from netprobe.bus.operator import Access, open_asker
from netprobe.cli.options.help_group import HelpGroup
from netprobe.cli.options.source import Source, source_options
from netprobe.discovery.k8s.kubeconfig import find_kubeconfigs, read_contexts
from netprobe.errors import InputError
from netprobe.model.intent import PortRange
from netprobe.model.intent import PortSpec as IntentDoor
from netprobe.model.snapshot import Snapshot
from netprobe.wire.documents import write_document
from netprobe.wire.intent import intent_schema
from netprobe.workflows.verification import see_cells


@click.group(cls=HelpGroup)
def intent() -> None:
    """Say what should be reachable and what must not be."""


@intent.command()
def schema() -> None:
    """Print the JSON Schema of an intent file, for editors and checks."""
    click.echo(msgspec.json.format(msgspec.json.encode(intent_schema()), indent=2).decode())


@intent.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
def check(path: Path) -> None:
    """Read FILE and print the rules it stands for, patterns and prerequisites expanded."""
    read = load_intent(path, today=_today())
    for rule in sorted(read.rules, key=lambda each: each.rank):
        doors = " ".join(str(span) for span in rule.spans or read.ports)
        scope = "" if rule.scope == "any" else f" ({rule.scope} clusters)"
        click.echo(f"{rule.expected:<5}  {_names(rule.sources)} → {_names(rule.targets)}{scope}: {doors}")
        until = f", by {rule.owner} until {rule.expires}" if rule.owner else ""
        click.echo(f"       {rule.name}{until}")
    if read.default:
        click.echo(f"{read.default:<5}  everything else on these doors")


@intent.command("from-networkpolicies")
@click.option(
    "-f", "--filename", "paths", multiple=True, metavar="FILE|DIR",
    type=click.Path(path_type=Path),
    help="A file or a directory of manifests: NetworkPolicy, Namespace, Pod, lists. May be given again.",
)  # fmt: skip
@click.option("--context", "name", metavar="NAME", help="Read them from the cluster of this context instead.")
@click.option("--kubeconfig", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="A kubeconfig file; repeatable. By default $KUBECONFIG, or ~/.kube/config.")  # fmt: skip
@click.option(
    "--port", "ports", multiple=True, metavar="PORT",
    help="Ask every pod on this port, too (tcp/443, udp/8000-8010), beside what pods and policies name.",
)  # fmt: skip
@click.option("--family", type=click.Choice(["4", "6"]), default="4", show_default=True, help="IP version.")
@click.option(
    "-o", "--output", type=click.Choice(["intent", "table"]), default="intent", show_default=True,
    help="An intent file for verify, or the verdicts to read.",
)  # fmt: skip
def from_networkpolicies(
    *, paths: tuple[Path, ...], name: str | None, files: tuple[Path, ...], ports: tuple[str, ...],
    family: str, output: str,
) -> None:  # fmt: skip
    """Compute who may reach whom, and which NetworkPolicy decides: of manifests, or of a cluster.

    A cluster needs leave to list its pods, namespaces and networkpolicies. Policies speak of their own
    cluster only, so each cluster has an intent of its own.
    """
    if bool(paths) == (name is not None):
        raise InputError("give either manifests (-f PATH) or a cluster (--context NAME)")
    manifests = load_manifests(paths) if name is None else _read_cluster(name, files)
    doors = [door for text in ports for door in _doors(text)]
    cells = derive(manifests.policies, manifests.namespaces, manifests.pods, doors)
    statements = find_statements(cells, version=int(family))
    for note in manifests.notes:
        click.echo(f"note: {note}", err=True)
    if not statements:
        raise InputError(
            f"no two pods with an IPv{family} address and a port to ask; "
            "write them with: kubectl get pods,namespaces,networkpolicies -A -o yaml",
            where=name or ", ".join(str(path) for path in paths),
        )
    if output == "table":
        _echo_statements(statements)
    else:
        _echo_intent(statements, int(family))


def _read_cluster(name: str, files: tuple[Path, ...]) -> Manifests:
    from netprobe.discovery.k8s.network_policies import read_policy_manifests  # noqa: PLC0415 - manifests need no client

    found = files or find_kubeconfigs(os.environ, home=Path.home())
    if not found:
        raise InputError("no kubeconfig: give --kubeconfig FILE or set KUBECONFIG")
    (context,) = read_contexts(found).choose((name,))
    return read_manifests(asyncio.run(read_policy_manifests(context)))


@intent.command("from-observed")
@source_options
@click.option("--port", "ports", multiple=True, metavar="PORT", default=("icmp", "tcp/9771", "udp/9771"),
              show_default=True, help="What everybody is asked for; may be given again.")  # fmt: skip
@click.option("--responder", "responders", multiple=True, metavar="PORT", default=("udp/9771",),
              show_default=True, help="UDP ports whose listeners always answer.")  # fmt: skip
def from_observed(source: Source, ports: tuple[str, ...], responders: tuple[str, ...]) -> None:
    """Ask what is reachable now and write it as an intent, a baseline to review and commit."""
    spans = tuple(_span(text, where="--port") for text in ports)
    heard = [_span(text, where="--responder") for text in responders]
    snapshot = source.load()
    answering = frozenset(door for span in heard for door in span.doors())
    baseline = asyncio.run(_observe(source.find_access(), snapshot, spans, answering))
    if not baseline.document.rules:
        raise InputError("nothing at all could be proven: no agent answered")
    click.echo(
        f"# {baseline.cells - baseline.left_out:,} of {baseline.cells:,} cells, as seen on {_today()}."
    )
    if baseline.left_out:
        click.echo(f"# {baseline.left_out:,} could not be proven and are left out.")
    click.echo(write_document(msgspec.to_builtins(baseline.document)), nl=False)


async def _observe(
    access: Access, snapshot: Snapshot, spans: tuple[PortRange, ...], responders: frozenset[IntentDoor]
) -> Baseline:
    cells = expand_cells(question_of(spans), snapshot.inventory)
    async with open_asker(access, asked_by="from-observed") as asker:
        absent = find_absent(snapshot)
        sights = await see_cells(asker, cells, agent_port=snapshot.inventory.agent_port, absent=absent)
    return write_baseline(cells, sights, snapshot.inventory, responders=responders)


def _span(text: str, *, where: str) -> PortRange:
    try:
        return parse_span(text)
    except InputError as error:
        raise InputError(error.what, where=where) from error


def _today() -> dt.date:
    return dt.datetime.now(tz=dt.UTC).date()


def _doors(text: str) -> tuple[Door, ...]:
    try:
        span = parse_span(text)
        return tuple((PolicyProtocol(span.protocol.value), door.port) for door in span.doors())
    except InputError as error:
        raise InputError(error.what, where="--port") from error
    except ValueError as error:
        raise InputError(f"{text!r}: a NetworkPolicy says nothing about it", where="--port") from error


def _echo_statements(statements: tuple[PolicyStatement, ...]) -> None:
    for one in statements:
        sources = _names(tuple(pod.qualified for pod in one.sources))
        click.echo(f"{one.expected:<5}  {sources} → {one.target.qualified}: {' '.join(one.ports)}")
        click.echo(f"       {one.reason}")


def _echo_intent(statements: tuple[PolicyStatement, ...], version: int) -> None:
    document = msgspec.to_builtins(intent_document(statements, version=version))
    click.echo(write_document(document), nl=False)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names)
