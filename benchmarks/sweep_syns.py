"""The sweep's SYNs beside masscan: how many per second arrive."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.namespaces import NEAR_V4, NamespacePair
from benchmarks.peer_runs import KEY, Figures, addresses, count_received, is_missing, ratio, run_peer
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import ResultCode, SweepTargets, TargetProtocol
from netprobe.lab.network_namespace import NetworkNamespace


def measure_syn(pair: NamespacePair, *, hosts: int = 8192, ports: int = 20) -> Figures:
    """SYNs per second at the far end."""
    named = addresses(hosts)
    questions = SweepTargets.of(
        TargetProtocol.SYN,
        np.repeat(SweepTargets.of(TargetProtocol.SYN, named, ports=1).addresses, ports, axis=0),
        ports=np.tile(np.arange(1000, 1000 + ports), hosts).astype(np.uint16),
    )  # fmt: skip
    pair.far.load_rules(
        "table inet seen {\nchain input {\ntype filter hook input priority 0\n"
        "tcp flags & (syn | ack | rst) == syn counter\n}\n}"
    )
    ours, theirs, answered = [], [], 0
    with pair.near.entered():
        sweep = Sweep(questions, key=KEY, seed=1)
    with sweep:
        for _ in range(3):
            with _rate_at(pair.far) as rate:
                answered = sweep.ask(SweepSettings(beside=True)).count(ResultCode.REFUSED)
            ours.append(rate[0])
            if not is_missing("masscan"):
                with _rate_at(pair.far) as rate:
                    _masscan(pair, hosts, ports)
                theirs.append(rate[0])
    return {
        "syn_rate_ratio_vs_masscan": ratio(max(ours), max(theirs, default=None)),
        "syn_per_s": round(max(ours)),
        "masscan_syn_per_s": round(max(theirs)) if theirs else None,
        "syn_answered_share": round(answered / len(questions), 6),
    }


def _masscan(pair: NamespacePair, hosts: int, ports: int) -> None:
    link = subprocess.run(
        pair.far.command("ip", "-brief", "link", "show", "cable"), capture_output=True, text=True, check=True
    )
    first, last = addresses(hosts)[0], addresses(hosts)[-1]
    run_peer(
        pair.near, "masscan", f"{first}-{last}", "-p", f"1000-{999 + ports}", "--rate", "10000000",
        "--wait", "0", "--adapter", "cable", "--adapter-ip", NEAR_V4,
        "--router-mac", link.stdout.split()[2], "-oL", "/dev/null",
    )  # fmt: skip


@contextlib.contextmanager
def _rate_at(far: NetworkNamespace) -> Iterator[list[float]]:
    """SYNs per second that arrive at *far* meanwhile, in the middle 80 % of all packets; known afterwards."""
    samples: list[tuple[float, int]] = []
    before = _count_syns(far)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            samples.append((time.monotonic(), count_received(far)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    rate: list[float] = []
    try:
        yield rate
    finally:
        over.set()
        watcher.join()
    first, total = samples[0][1], samples[-1][1] - samples[0][1]
    middle = [(at, seen - first) for at, seen in samples if 0.1 * total <= seen - first <= 0.9 * total]
    (start, low), (end, high) = middle[0], middle[-1]
    share = (_count_syns(far) - before) / total
    rate.append(share * (high - low) / (end - start))


def _count_syns(far: NetworkNamespace) -> int:
    listed = subprocess.run(
        far.command("nft", "list", "table", "inet", "seen"), capture_output=True, text=True, check=True
    )
    return int(listed.stdout.split("packets ")[1].split()[0])
