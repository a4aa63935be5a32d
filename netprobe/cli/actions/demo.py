"""``netprobe demo``: builds a lab, plays the faults and writes down what was found."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from pathlib import Path

import click

from netprobe.bus.operator import ask_snapshot
from netprobe.cli.actions.demo_output import (
    draw_moments,
    report_document,
    write_moment,
    write_report,
)
from netprobe.echo import echo, styled
from netprobe.errors import InputError
from netprobe.lab.access import find_access
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.fault_drill import DrillFault, FaultDrill, LabInjector
from netprobe.model.units import SECOND_NS
from netprobe.render.labels import headline
from netprobe.render.terminal.tables import render_text, topology_table

_PROD, _STAGING, _DEV = "prod-us-west-1", "staging-eu-central-1", "dev-on-premise"
FAULTS = (
    DrillFault("tunnel-down", {"source": _PROD, "target": _STAGING}),
    DrillFault("mtu-black-hole", {"source": _DEV, "target": _STAGING}),
    DrillFault("tunnel-one-way", {"source": _STAGING, "target": _PROD}),
    DrillFault("overlay-blocked", {"source": f"{_PROD}/w1", "target": f"{_PROD}/w2"}),
    DrillFault("service-proxy-stale", {"node": f"{_PROD}/w2"}),
    DrillFault("dns-forward-missing", {"cluster": _STAGING}),
    DrillFault("port-reject", {"node": f"{_DEV}/w1"}),
    DrillFault("agent-frozen", {"agent": f"{_PROD}/w1/pod"}),
)
KEPT = FAULTS[0]
"""The moment that is saved as evidence and shown in the report."""
_WIDTH = 80
_HEALTHY_S = 4.0
_SETTLE_S = 30.0


def run_demo(output: Path, *, interval_s: float) -> int:
    """Run the whole demo; 0 if it was flawless."""
    started = time.monotonic()
    _prepare(output)
    name = f"demo-{os.getpid()}"
    say(f"Three clusters in this machine, {len(FAULTS)} faults, one question: where is it broken?\n")
    try:
        start_lab(Start(name, interval_ns=round(interval_s * 1e9), end_with_pid=os.getpid()), notify=_notice)
        drill = asyncio.run(_run_drill(name, interval_ns=round(interval_s * 1e9), started=started))
    except KeyboardInterrupt:
        raise click.Abort from None
    finally:
        take_down(name)
    step("the lab is gone", "", started)
    document = report_document(drill, seconds_in_all=time.monotonic() - started)
    write_report(output / "report.json", document)
    write_moment(output, drill.moments[KEPT.name])
    draw_moments(output / "maps", drill.moments)
    _print_summary(drill, output, started)
    return 0 if drill.is_flawless else 1


async def _run_drill(name: str, *, interval_ns: int, started: float) -> FaultDrill:
    """Play all faults of the demo in the lab *name*."""
    ask = functools.partial(ask_snapshot, find_access(name))
    drill = FaultDrill(ask, LabInjector(LabClient(name)), interval_ns)
    step("the lab is up", _describe_lab(name), started)
    healthy = await drill.wait_until_healthy(timeout_s=_SETTLE_S)
    step("every path is up", f"{len(healthy.agents)} agents, {len(healthy.checks)} checks", started)
    drill.moments["healthy"] = await drill.watch(seconds=_HEALTHY_S)
    say("\n" + render_text(topology_table(drill.moments["healthy"]), width=_WIDTH))
    for fault in FAULTS:
        await _show(drill, fault)
    return drill


async def _show(drill: FaultDrill, fault: DrillFault) -> None:
    say(styled(f"✂ {fault.name}", bold=True))
    verdict = await drill.play(fault)
    seconds = f"after {verdict.after_ns / 1e9:.1f} s" if verdict.after_ns is not None else ""
    found = headline(verdict.finding) if verdict.finding else "nothing was found"
    sign = styled("✓", colour="green") if verdict.named_right else styled("✗", colour="red")
    confidence = f", confidence {verdict.finding.confidence:.2f}" if verdict.finding else ""
    say("  ", sign, f" {found}\n    {seconds}{confidence}")
    await drill.wait_until_healthy(timeout_s=_SETTLE_S)


def _describe_lab(name: str) -> str:
    status = LabClient(name).status()
    nodes = sum(host.role == "node" for host in status.hosts)
    return f"{nodes} nodes, {len(status.processes)} processes, tunnels by {status.mechanism}"


def _print_summary(drill: FaultDrill, output: Path, started: float) -> None:
    verdicts, false = drill.scorer.verdicts, drill.scorer.false_findings
    right = sum(verdict.named_right for verdict in verdicts)
    say(styled(f"\n{right} of {len(verdicts)} faults named right, {len(false)} false findings.", bold=True))
    if late := sum(verdict.named_right and not drill.is_in_time(verdict) for verdict in verdicts):
        deadline_s = drill.deadline_ns / SECOND_NS
        say(
            f"{late} of them after more than {deadline_s:.0f} s, so the exit code is 1: is this machine busy?"
        )
    for seen in false.values():
        say(f"  ✗ {headline(seen.finding)}")
    say(f"See {output}/report.html, {output}/topology.png, {output}/maps/; ask again, offline:")
    say(f"  netprobe show findings --from {output}/evidence")
    step("done", "", started)


def step(what: str, more: str, started: float) -> None:
    """One line of progress with the seconds since the start at its right end."""
    left = f"{what}  {more}" if more else what
    say(f"{left:<{_WIDTH - 8}}{time.monotonic() - started:6.1f} s")


def say(*parts: str) -> None:
    """Print for a person."""
    echo(*parts)


def _notice(text: str) -> None:
    say(f"note: {text}")


def _prepare(output: Path) -> None:
    if output.exists() and any(output.iterdir()) and not (output / "report.json").exists():
        raise InputError(
            f"{output} contains files that are not a demo's; choose another folder", where="--output"
        )
    output.mkdir(parents=True, exist_ok=True)
