"""``netprobe check``: makes the check, asks the agent or the host's own tools, and prints the answer."""

from __future__ import annotations

import asyncio
import getpass
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from netprobe.bus.operator import ask_check
from netprobe.cli.actions.check_series import count_duplicated, describe_series, describe_source_ports
from netprobe.cli.actions.output import print_document
from netprobe.cli.options.source import Source
from netprobe.craft.registry import CRAFT_KINDS, find_craft_kind
from netprobe.discovery.inventory.file import load_inventory
from netprobe.echo import echo
from netprobe.errors import BusAwayError, InputError, SystemRefusedError
from netprobe.model.check import Check, check_id
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId, Plane
from netprobe.model.outcome import NotMeasured, Outcome, Reached, Refused, Rejected, WrongPeer
from netprobe.model.prose import Prose
from netprobe.model.ssh import SshAccess
from netprobe.probes import registry
from netprobe.probes.observation import describe
from netprobe.probes.packet_options import KEYS, without_packet_options
from netprobe.probes.rejection import name_rejection
from netprobe.probes.repeats import count_answers
from netprobe.probes.routing_loop import read_loop
from netprobe.render.documents.snapshot import Document
from netprobe.render.labels import begin_large, duration
from netprobe.render.terminal.probe_facts import describe_facts
from netprobe.wire.documents import write_document
from netprobe.wire.messages import CheckAnswer, Declined, OutcomeDetail, Refusal
from netprobe.workflows.check_target import CheckRequest, find_owner, make_check
from netprobe.workflows.on_demand import patience_s

if TYPE_CHECKING:
    from netprobe.craft.kind import CraftKind

_WIDTH = 80


def run_check(
    source: Source, path: Path | None, asker: str, target: str, asked: dict[str, object], *, form: str
) -> int:
    """Run the check, by the agent or over SSH, and print the answer; the exit code of the command."""
    inventory = load_inventory(path) if path else source.load().inventory
    pcap, packet = asked.pop("pcap", None), asked.pop("packet", None)
    wanted = _read_request(asked)
    kind = _find_craft(wanted, packet)
    if kind is not None:
        if path is not None:
            raise InputError(f"{kind.name} needs an agent", where="--inventory")
        return _run_crafted(source, inventory, asker, target, wanted, kind, pcap=pcap, form=form)
    if pcap is not None:
        known = f"--packet, {', '.join(sorted(CRAFT_KINDS))}"
        what = f"the agent builds the packets of {wanted.kind or 'this kind'}, so they are not known here"
        raise InputError(f"{what}; known are those of {known}", where="--pcap")
    question = make_check(inventory, asker, target, wanted)
    registry.validate(question.probe)
    try:
        answer = None if path else _ask_any_build(source, question, wanted)
    except BusAwayError:
        if _find_way(inventory, question.source) is None:
            raise
        answer = None
    if answer is None:
        question, answer = _ask_over_ssh(inventory, asker, target, wanted)
    plain = None if path else _ask_with_default_header(source, question, answer)
    if form == "table":
        told = (*describe_answer(question, answer), *describe_loop(inventory, answer))
        echo("\n".join((*told, *describe_comparison(question, plain))))
    else:
        made = document(question, answer, plain)
        print_document(write_document(made) if form == "yaml" else _as_json(made))
    return exit_code(answer)


def _find_craft(wanted: CheckRequest, packet: object) -> CraftKind | None:
    """The crafted kind that is asked for; None where it is a kind of the agent's own."""
    if isinstance(packet, str):
        from netprobe.craft.packet_question import make_packet_kind  # noqa: PLC0415 - Scapy, where it is asked for

        if wanted.kind is not None:
            raise InputError("takes the place of --probe", where="--packet")
        return make_packet_kind(packet)
    return find_craft_kind(wanted.kind) if wanted.kind else None


def _run_crafted(
    source: Source, inventory: Inventory, asker: str, target: str, wanted: CheckRequest, kind: CraftKind, *,
    pcap: object, form: str,
) -> int:  # fmt: skip
    from netprobe.cli.actions.check_crafted import run_crafted  # noqa: PLC0415

    writers: dict[str, Callable[[Document], str]] = {"yaml": write_document, "json": _as_json}
    return run_crafted(
        inventory, asker, target, wanted, kind,
        ask=lambda check: _ask(source, check),
        pcap=pcap if isinstance(pcap, Path) else None,
        write=None if form == "table" else writers[form],
    )  # fmt: skip


class NotAskableError(SystemRefusedError):
    """The agent does not know the kind of the question, or one of its options."""


def _read_request(asked: dict[str, object]) -> CheckRequest:
    options = []
    pairs = asked.pop("options")
    assert isinstance(pairs, tuple)
    for text in pairs:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise InputError(f"{text!r} is not KEY=VALUE", where="--option")
        options.append((key, value))
    return msgspec.convert({**asked, "options": tuple(options)}, CheckRequest)


def _ask_any_build(source: Source, question: Check, wanted: CheckRequest) -> CheckAnswer:
    """Ask; where the agent knows no option that was filled in here, because it is older, ask without it."""
    asked_for = dict(wanted.options)
    options = tuple(pair for pair in question.probe.options if pair[0] in asked_for)
    try:
        return asyncio.run(_ask(source, question))
    except NotAskableError:
        if options == question.probe.options:
            raise
    probe = replace(question.probe, options=options)
    number = check_id(question.source, question.target, probe)
    return asyncio.run(_ask(source, replace(question, id=number, probe=probe)))


def _ask_with_default_header(source: Source, question: Check, answer: CheckAnswer) -> CheckAnswer | None:
    """The same question without what it says about the packets' headers, where that may be why it fails."""
    options = without_packet_options(question.probe)
    if options == question.probe.options or exit_code(answer) != 1:
        return None
    probe = replace(question.probe, options=options)
    number = check_id(question.source, question.target, probe)
    return asyncio.run(_ask(source, replace(question, id=number, probe=probe)))


async def _ask(source: Source, question: Check) -> CheckAnswer:
    timeout_s = patience_s([question])
    reply = await ask_check(source.find_access(), question, asked_by=_user(), timeout_s=timeout_s)
    if isinstance(reply, Declined):
        refused = NotAskableError if reply.refusal is Refusal.NOT_ASKABLE else SystemRefusedError
        raise refused(f"{reply.agent} declined: {reply.reason}")
    if not reply.outcomes:
        raise SystemRefusedError(f"{reply.agent} answered without an outcome")
    return reply


def _ask_over_ssh(
    inventory: Inventory, asker: str, target: str, wanted: CheckRequest
) -> tuple[Check, CheckAnswer]:
    """The question as a host's own tools can ask it, and what they say."""
    from netprobe.discovery.ssh.fallback_tools import find_tools  # noqa: PLC0415
    from netprobe.workflows.ssh_asker import HostsAsker  # noqa: PLC0415 - only those who ask pay for SSH

    question = make_check(inventory, asker, target, wanted)
    if wanted.kind is None and not find_tools(question.probe.kind):
        question = make_check(inventory, asker, target, replace(wanted, kind="icmp"))
    way = _find_way(inventory, question.source)
    if way is None:
        raise InputError(f"{question.source.node_id} is not reached over SSH (field ssh)", where="SOURCE")
    (reply,) = asyncio.run(HostsAsker({question.source: way}).ask(question.source, [question]))
    if isinstance(reply, Declined):
        raise SystemRefusedError(str(reply.reason))
    return question, reply


def _find_way(inventory: Inventory, agent: AgentId) -> SshAccess | None:
    """How the agent's host is reached over SSH. A pod's network is not its host's."""
    node = inventory.find_node(agent.node_id)
    return node.ssh if node is not None and agent.plane is Plane.HOST else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def exit_code(answer: CheckAnswer) -> int:
    """0 reached every time, 1 not, 2 where the agent itself could not ask."""
    measured = [outcome for outcome in answer.outcomes if not isinstance(outcome, NotMeasured)]
    if not measured:
        return 2
    return 0 if all(isinstance(outcome, Reached) for outcome in measured) else 1


def describe_answer(question: Check, answer: CheckAnswer) -> Iterator[str]:
    """One sentence, then what else is known, at 80 columns."""
    detail = answer.details[0] if answer.details else OutcomeDetail()
    yield from textwrap.wrap(_sentence(question, answer), _WIDTH)
    rows = [*_rows(question.probe.kind, answer.outcomes[0], detail), *describe_source_ports(answer)]
    wide = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        lines = textwrap.wrap(text, _WIDTH - wide - 4) or [""]
        yield f"  {name:<{wide}}  {lines[0]}"
        yield from (" " * (wide + 4) + line for line in lines[1:])


def describe_loop(inventory: Inventory, answer: CheckAnswer) -> Iterator[str]:
    """The nodes of a routing loop by their names, where the inventory knows their addresses."""
    loop = read_loop(answer.details[0].values) if answer.details else None
    owners = [find_owner(inventory, hop) or hop for hop in loop.hops] if loop else []
    if loop and any(owner != hop for owner, hop in zip(owners, loop.hops, strict=True)):
        yield from textwrap.wrap(str(begin_large(Prose(f"{replace(loop, hops=tuple(owners))}."))), _WIDTH)


def describe_comparison(question: Check, plain: CheckAnswer | None) -> Iterator[str]:
    """What the same question with the default header says; nothing where it was not asked."""
    if plain is None:
        return
    left_out = [f"{key}={value}" for key, value in question.probe.options if key in KEYS]
    yield from textwrap.wrap(f"Without {' '.join(left_out)}: {_say(plain)}.", _WIDTH)


def _say(answer: CheckAnswer) -> str:
    """All outcomes in a few words."""
    if len(answer.outcomes) > 1:
        return describe_series(answer)
    detail = answer.details[0] if answer.details else OutcomeDetail()
    again = count_answers(detail.values)
    verdict = _verdict(answer.outcomes[0], detail)
    return (
        f"{verdict}, {count_duplicated(answer)} duplicated (it was answered {again} times)"
        if again > 1
        else verdict
    )


def _sentence(question: Check, answer: CheckAnswer) -> str:
    probe, target = question.probe, question.target
    how = probe.kind + (" inside TLS" if probe.option("tls") == "yes" else "")
    how += f" over {probe.option('transport').upper()}" if probe.option("transport") else ""
    how += f" port {probe.port}" if probe.port else ""
    how += f", {probe.size} bytes" if probe.size else ""
    where = target.name if target.name == target.address else f"{target.name} ({target.address})"
    about = f" for {probe.name}" if probe.kind == "dns" else ""
    asked = [f"{key} {value}" for key, value in probe.options if key in KEYS]
    how += f", {', '.join(asked)}" if asked else ""
    return f"{question.source} asked {where}{about} by {how}: {_say(answer)}."


def _verdict(outcome: Outcome, detail: OutcomeDetail) -> str:
    match outcome:
        case Reached(rtt_ns):
            return f"reached in {duration(rtt_ns)}"
        case Refused(rtt_ns):
            return f"refused in {duration(rtt_ns)}: the host is alive, but the port has no listener"
        case WrongPeer(expected, answered_by, rtt_ns):
            return f"the wrong peer answered in {duration(rtt_ns)}: {answered_by}, not {expected}"
        case Rejected(sender) if str(detail.words) in {"", str(describe(outcome))}:
            return f"rejected by {sender}: {name_rejection(outcome)}"
        case _:
            return str(detail.words or describe(outcome))


def _rows(kind: str, outcome: Outcome, detail: OutcomeDetail) -> Iterator[tuple[str, str]]:
    if detail.words and str(detail.words) not in {_verdict(outcome, detail), str(describe(outcome))}:
        yield "detail", str(detail.words)
    if detail.answered_by:
        yield "answered by", detail.answered_by
    if detail.observed_source:
        yield "seen as", f"{detail.observed_source} by the far end"
    if len(detail.phases_ns) > 1 or (detail.phases_ns and not isinstance(outcome, Reached)):
        yield "phases", ", ".join(f"{name} {duration(span)}" for name, span in detail.phases_ns)
    yield from describe_facts(kind, detail)


def document(question: Check, answer: CheckAnswer, plain: CheckAnswer | None = None) -> Document:
    """The same for machines; durations in nanoseconds."""
    compared = (
        {"with_default_header": [_outcome(plain, at) for at in range(len(plain.outcomes))]} if plain else {}
    )
    return {
        "schema": "netprobe/check",
        "version": 1,
        "source": str(question.source),
        "target": {"kind": str(question.target.kind), "name": question.target.name,
                   "address": question.target.address},
        "probe": {"kind": question.probe.kind, "port": question.probe.port or None,
                  "size": question.probe.size or None, "name": question.probe.name or None,
                  "timeout_ns": question.probe.timeout_ns, "options": dict(question.probe.options)},
        "reached": exit_code(answer) == 0,
        "outcomes": [_outcome(answer, index) for index in range(len(answer.outcomes))],
        **compared,
    }  # fmt: skip


def _outcome(answer: CheckAnswer, index: int) -> Document:
    outcome = answer.outcomes[index]
    detail = answer.details[index] if answer.details else OutcomeDetail()
    return {
        "kind": str(outcome.kind),
        **msgspec.to_builtins(outcome),
        "words": detail.words,
        "answered_by": detail.answered_by or None,
        "observed_source": detail.observed_source or None,
        "phases_ns": dict(detail.phases_ns),
        "facts": dict(detail.facts),
        **({"values": list(detail.values)} if detail.values else {}),
    }


def _as_json(told: Document) -> str:
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n"
