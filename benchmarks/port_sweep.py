"""The same ports of many hosts, as a scanner is asked: for comparing ours with others."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.engine.sweep.port_scan_policy import RetryPolicy
from netprobe.engine.sweep.ports import PortSweep, sweep_doors
from netprobe.model.verdict import Transport


def sweep_ports(
    targets: Sequence[str],
    ports: Sequence[int],
    transport: Transport,
    *,
    rate: float | None = 50_000,
    patience: RetryPolicy | None = None,
    within_ns: int = 120_000_000_000,
    seed: int | None = None,
) -> PortSweep:
    """Ask every one of *ports* on every one of *targets*; the rest is as :func:`sweep_doors` says."""
    pairs = dict.fromkeys(targets, tuple(dict.fromkeys(ports)))
    return sweep_doors(pairs, transport, rate=rate, patience=patience, within_ns=within_ns, seed=seed)
