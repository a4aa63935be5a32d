"""Port verdicts beside nmap's, on a generated firewall: how fast, at what cost, how right."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator

from benchmarks import nmap
from benchmarks.firewall import Firewall, generate_firewall, words
from benchmarks.namespaces import NamespacePair
from benchmarks.peer_runs import Figures, apart, cpu_s, is_missing, ratio, run_peer, running
from benchmarks.port_sweep import sweep_ports
from netprobe.model.verdict import PORTED, Transport


def measure_verdicts(pair: NamespacePair, *, hosts: int = 200, ports: int = 50) -> Figures:
    """Verdicts on a generated firewall: how fast, at what cost, how right."""
    sums = dict.fromkeys(
        ("pairs", "wall", "cpu", "right", "nmap_wall", "nmap_cpu", "nmap_right", "same", "reasons"), 0.0
    )
    peer = not is_missing("nmap")
    for transport in PORTED:
        firewall = generate_firewall(transport, hosts=hosts, ports=ports, limited=4, seed=7)
        with _standing(pair, firewall, transport), apart(pair):
            ours = _our_verdicts(pair, firewall, transport, sums)
            if peer:
                _nmap_verdicts(pair, firewall, transport, ours, sums)
    pairs = sums["pairs"]
    return {
        "verdict_rate_ratio_vs_nmap": ratio(sums["nmap_wall"], sums["wall"]) if peer else None,
        "verdict_cpu_ratio_vs_nmap": ratio(sums["nmap_cpu"], sums["cpu"]) if peer else None,
        "verdict_agreement_with_nmap": round(sums["same"] / pairs, 6) if peer else None,
        "verdict_agreement_with_nmap_reasons": round(sums["reasons"] / pairs, 6) if peer else None,
        "verdict_agreement_with_truth": round(sums["right"] / pairs, 6),
        "nmap_agreement_with_truth": round(sums["nmap_right"] / pairs, 6) if peer else None,
        "verdict_pairs": int(pairs),
        "verdicts_per_s": round(pairs / sums["wall"]),
        "verdict_cpu_us_per_pair": round(sums["cpu"] / pairs * 1e6, 2),
        "nmap_verdicts_per_s": round(pairs / sums["nmap_wall"]) if peer else None,
        "nmap_cpu_us_per_pair": round(sums["nmap_cpu"] / pairs * 1e6, 2) if peer else None,
    }


def _our_verdicts(
    pair: NamespacePair, firewall: Firewall, transport: Transport, sums: dict[str, float]
) -> dict[tuple[str, int], str]:
    with pair.near.entered():
        sweep_ports(firewall.hosts[-1:], firewall.listening[:1], transport, seed=1)
        before, start = cpu_s(resource.RUSAGE_SELF), time.monotonic()
        swept = sweep_ports(firewall.hosts, firewall.ports, transport, seed=1)
        sums["cpu"] += cpu_s(resource.RUSAGE_SELF) - before
        sums["wall"] += time.monotonic() - start
    ours = words(swept)
    sums["pairs"] += len(ours)
    sums["right"] += sum(firewall.truth[place] == word for place, word in ours.items())
    return ours


def _nmap_verdicts(
    pair: NamespacePair,
    firewall: Firewall,
    transport: Transport,
    ours: dict[tuple[str, int], str],
    sums: dict[str, float],
) -> None:
    startup, _, _ = run_peer(pair.near, *nmap.command(transport, firewall.hosts[-1:], firewall.listening[:1]))
    used, wall, done = run_peer(pair.near, *nmap.command(transport, firewall.hosts, firewall.ports))
    theirs = nmap.read_verdicts(done.stdout)
    sums["nmap_cpu"] += used - startup
    sums["nmap_wall"] += wall
    sums["nmap_right"] += sum(firewall.truth[place] == word for place, word in theirs.items())
    sums["reasons"] += sum(theirs.get(place) == word for place, word in ours.items())
    sums["same"] += sum(nmap.agrees(word, theirs.get(place)) for place, word in ours.items())


@contextlib.contextmanager
def _standing(pair: NamespacePair, firewall: Firewall, transport: Transport) -> Iterator[None]:
    pair.far.load_rules(firewall.rules)
    with running(pair.far, "benchmarks.responders", transport, *map(str, firewall.listening)):
        yield
