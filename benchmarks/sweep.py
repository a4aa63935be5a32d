"""The sweep beside fping, masscan and nmap: same targets, same packets, same machine, one run.

Everything happens between two namespaces of the run's own, joined by a veth cable; thousands of addresses
live on the far one. What is equal, and how it is counted:

- *Processor time* is user and system time from ``getrusage``: the kernel's work for each packet is in it.
  A peer's figure is that of its process less that of the same peer asked for one single target, because
  ours is taken inside a running process, as an agent is one. Preparing our packets happens once per plan and
  is shown on its own (``icmp_prepare_us_per_target``); for verdicts it is part of our figure, because there
  it is done again. What Python loads when it asks for the first time is not: one port is asked before.
- *Near and far* are kept apart for processor time: on a veth cable the far end's kernel would work inside the
  sender's system call, at the sender's charge, and its answer would be there before the call returns. So the
  far end's packets are steered to another processor, and what is measured is bound to the first, as if they
  were two machines. The result without that is shown beside it as ``…_one_processor``.
- *fping* and we send the same number of 84-byte echoes to the same targets at the same pace (fping: ``-i``),
  as a monitor does; runs alternate, and the median of each counts. fping wakes for every packet then, while
  we gather what is due in steps. The figures ``…_unpaced`` are for both going as fast as they can
  (``fping -i 0``), where neither waits and most of both figures is the kernel's work for the packets: the
  ratio is small there, and that is not hidden.
- *masscan* and we send SYNs to the same addresses and ports, as fast as each can. The rate of both is read
  from counters at the far end: the middle 80 % of the packets over the time they took, times the share of
  SYNs among them (masscan sends RSTs besides).
- *nmap* runs with its default timing and gets the same hosts and ports of the same generated firewall, TCP
  and then UDP; neither resolves names or pings first. ``verdict_agreement_with_nmap`` compares nmap's states:
  nmap calls both silence and an ICMP refusal ``filtered`` and gives the reason besides; the share of pairs
  where the reason is the same, too, is ``verdict_agreement_with_nmap_reasons``.
- ``delivered_share``: echo replies we counted over echo replies the far kernel sent, at full rate.
- ``rtt_error_us_*``: our round trip times against those that tcpdump's kernel time stamps of the very same
  packets give, while we sweep at 50,000 echoes per second.

A peer that is not installed gives a notice on standard error and null figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from benchmarks.namespaces import NamespacePair, joined, unlimited, why_not
from benchmarks.peer_runs import Figures
from benchmarks.sweep_echoes import measure_icmp, measure_udp
from benchmarks.sweep_syns import measure_syn
from benchmarks.sweep_times import measure_rtt
from benchmarks.sweep_verdicts import measure_verdicts
from netprobe.errors import SystemRefusedError


def run(arguments: list[str]) -> Figures:
    """Measure all parts, or those named with ``--only``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sweep")
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="one part; may be repeated")
    chosen = parser.parse_args(arguments).only or list(PARTS)
    if reason := why_not():
        raise SystemRefusedError(f"the sweep benchmark {reason}")
    figures: Figures = {}
    for part in chosen:
        with joined() as pair:
            unlimited(pair.far)
            figures |= PARTS[part](pair)
    return figures


PARTS: dict[str, Callable[[NamespacePair], Figures]] = {
    "icmp": measure_icmp,
    "udp": measure_udp,
    "rtt": measure_rtt,
    "syn": measure_syn,
    "verdicts": measure_verdicts,
}

if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:]), indent=2))
