"""``netprobe intent from-networkpolicies``: manifests or a cluster in, verdicts or an intent out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from netprobe.analysis.intent.document import parse_span
from netprobe.analysis.netpol.derivation import Door, derive
from netprobe.analysis.netpol.manifests import Manifests, load_manifests, read_manifests
from netprobe.analysis.netpol.policy import PolicyProtocol
from netprobe.analysis.netpol.statements import PolicyStatement, find_statements, intent_document
from netprobe.cli.actions.output import print_document
from netprobe.cli.options.clusters import ContextSelection
from netprobe.echo import echo
from netprobe.errors import InputError
from netprobe.wire.documents import write_document


def run_from_networkpolicies(
    paths: tuple[Path, ...], name: str | None, files: tuple[Path, ...], *, ports: tuple[str, ...],
    version: int, output: str,
) -> None:  # fmt: skip
    """Print the verdicts, or an intent; :class:`InputError` where no two pods can be checked."""
    manifests = load_manifests(paths) if name is None else _read_cluster(name, files)
    doors = [door for text in ports for door in _doors(text)]
    cells = derive(manifests.policies, manifests.namespaces, manifests.pods, doors)
    statements = find_statements(cells, version=version)
    for note in manifests.notes:
        echo(f"note: {note}", err=True)
    if not statements:
        raise InputError(
            f"no two pods with an IPv{version} address and a port to ask; "
            "write them with: kubectl get pods,namespaces,networkpolicies -A -o yaml",
            where=name or ", ".join(str(path) for path in paths),
        )
    if output == "table":
        _echo_statements(statements)
    else:
        _echo_intent(statements, version)


def _read_cluster(name: str, files: tuple[Path, ...]) -> Manifests:
    from netprobe.discovery.k8s.network_policies import read_policy_manifests  # noqa: PLC0415 - manifests need no client

    context = ContextSelection(files=files).read_one(name)
    return read_manifests(asyncio.run(read_policy_manifests(context)))


def _doors(text: str) -> tuple[Door, ...]:
    try:
        span = parse_span(text)
        return tuple((PolicyProtocol(span.protocol.value), door.port) for door in span.port_specs())
    except InputError as error:
        raise InputError(error.what, where="--port") from error
    except ValueError as error:
        raise InputError(f"{text!r}: a NetworkPolicy says nothing about it", where="--port") from error


def _echo_statements(statements: tuple[PolicyStatement, ...]) -> None:
    for one in statements:
        sources = _names(tuple(pod.qualified for pod in one.sources))
        echo(f"{one.expected:<5}  {sources} → {one.target.qualified}: {' '.join(one.ports)}")
        echo(f"       {one.reason}")


def _echo_intent(statements: tuple[PolicyStatement, ...], version: int) -> None:
    document = msgspec.to_builtins(intent_document(statements, version=version))
    print_document(write_document(document))


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names)
