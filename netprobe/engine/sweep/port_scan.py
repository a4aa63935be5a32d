"""Runs a port scan with a sweep, pass after pass; owns the clock."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from netprobe.engine.sweep.adaptive_timeout import AdaptiveTimeout
from netprobe.engine.sweep.port_scan_policy import PortScan, ScanPass
from netprobe.engine.sweep.rounds import SweepRound
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import PENDING, REACHED, REFUSED, REJECTED, Codes, RoundResult
from netprobe.model.units import MILLISECOND_NS
from netprobe.wire.batch import Flags, Indices, Rows

_TIMEOUT_NS = 500 * MILLISECOND_NS
"""Timeout for hosts that have not answered in this sweep; no host is waited for longer unless answers are
slow."""
_LEAST_QUIET_NS = 80 * MILLISECOND_NS
"""A pass ends when all its hosts have answered and nothing has arrived for this time or four times the
slowest answer. Until then answers do not wake us, as each has its kernel time. If this is too short for a
host, its control ports are silent too."""
_SHORT_QUIET_NS = 25 * MILLISECOND_NS
"""The same for a pass over hosts that are asked slowly: each of their ports is asked several times, and late
answers count, too. After the first passes it would be too short for servers that wait for a processor."""
_TICK_NS = 10 * MILLISECOND_NS
_BATCH = 512
"""Packets per system call, more than for measuring times. A tick sends half of the 1,000 packets that Linux
queues per processor (``netdev_max_backlog``), because the answers wait in the same queue: ticks of 1,000
and 2,000 lost packets on a busy machine."""


class PortScanner:
    """Runs passes until every port has a verdict."""

    def __init__(self, sweep: Sweep, scan: PortScan, *, rate: float | None, deadline_ns: int) -> None:
        self._sweep, self._scan, self._deadline_ns = sweep, scan, deadline_ns
        # Each pass ends with a pause longer than a tick, so the first tick of the next may be sent at once.
        self._settings = SweepSettings(
            rate=rate,
            timeout_ns=_TIMEOUT_NS,
            tick_ns=_TICK_NS,
            head_start_ns=_TICK_NS,
            most_ticks=1,
            batch=_BATCH,
            late_counts=True,
        )
        self._timeout = AdaptiveTimeout(_TIMEOUT_NS)
        self.probes = 0
        self.stalled_ns = 0
        """Time that we stalled in passes whose silence therefore does not count."""
        count = int(scan.hosts.max()) + 1
        self._host_of = np.concatenate([scan.hosts, np.arange(count)])
        """The host of each question: ports first, then one echo per host."""
        self.alive: Flags = np.zeros(count, dtype=np.bool_)

    def run(self, *, witnesses: Indices) -> None:
        """Run until every port has a verdict or the deadline is reached."""
        while not self._scan.done and (now_ns := time.monotonic_ns()) < self._deadline_ns:
            chosen = self._scan.next_pass(now_ns=now_ns)
            if chosen is None:
                wake_ns = min(self._scan.next_ns(), self._deadline_ns)
                time.sleep(max(0, wake_ns - time.monotonic_ns()) / 1e9)
                continue
            rows = np.concatenate([chosen.rows, self._choose_echoes(chosen.rows, witnesses)])
            quiet_ns = _SHORT_QUIET_NS if self._scan.is_careful_pass(chosen) else _LEAST_QUIET_NS
            result = self._ask(rows, quiet_ns=quiet_ns)
            self.probes += len(rows)
            self.stalled_ns += result.stalled_ns
            self._take_in(chosen, result)

    def _choose_echoes(self, ports: Indices, witnesses: Indices) -> Indices:
        """After the first pass, the echoes of hosts that answered nothing yet, or nothing but an echo."""
        if not self._scan.passes:
            return witnesses[:0]
        is_asked = np.zeros(len(witnesses), dtype=np.bool_)
        is_asked[self._scan.hosts[ports]] = True
        return witnesses[~self.alive | (is_asked & ~self._scan.is_vouched_for)]

    def _take_in(self, chosen: ScanPass, result: RoundResult) -> None:
        """Process late answers first, because they show that an earlier silence was none."""
        was_alive, shown = self.alive.copy(), np.zeros(len(self.alive), dtype=np.bool_)
        late = self._sweep.take_late()
        for answers in late:
            self._scan.note_late(answers)
            self._note_alive(answers.rows, answers.codes, answers.senders, shown)
        asked = np.nonzero(result.asked)[0]
        self._note_alive(asked, result.codes[asked], result.senders[asked], shown)
        self._scan.note(chosen, result, now_ns=time.monotonic_ns(), withdrawn=was_alive & ~shown)
        self._timeout.note(result, is_late=bool(late))

    def _note_alive(self, rows: Indices, codes: Codes, senders: Rows, shown: Flags) -> None:
        """Note hosts that answered as alive; *shown* also flags hosts about which a router sent an error."""
        answered = self._host_of[rows[(codes == REACHED) | (codes == REFUSED)]]
        rejected = np.nonzero(codes == REJECTED)[0]
        rejecting = self._host_of[rows[rejected]]
        itself = (senders[rejected] == self._sweep.questions.addresses[rows[rejected]]).all(axis=1)
        self.alive[answered] = self.alive[rejecting[itself]] = True
        shown[answered] = shown[rejecting] = True

    def _ask(self, rows: Indices, *, quiet_ns: int) -> RoundResult:
        left_ns = self._deadline_ns - time.monotonic_ns()
        timeout_ns = max(_TIMEOUT_NS, min(self._timeout.timeout_ns, left_ns))
        number = self._sweep.begin(replace(self._settings, timeout_ns=timeout_ns), rows=rows)
        running = self._sweep.running(number)
        while (wake_ns := self._sweep.step()) is not None:
            now_ns = time.monotonic_ns()
            if running.all_sent and now_ns < (over_ns := self._over_ns(running, quiet_ns)):
                self._sweep.sleep(until_ns=min(over_ns, wake_ns))
            elif running.all_sent and self._all_shown(running, rows):
                break
            else:
                self._sweep.wait(number, until_ns=wake_ns)
        return self._sweep.finish(number)

    def _over_ns(self, running: SweepRound, least_ns: int) -> int:
        """When the pass ends if no further answer arrives."""
        quiet_ns = self._timeout.quiet_ns(least_ns, int(running.rtts_ns.max(initial=0)))
        return max(running.last_sent_ns, running.last_news_ns) + quiet_ns

    def _all_shown(self, running: SweepRound, rows: Indices) -> bool:
        """Whether every host of these rows has answered at least once."""
        ports = rows[rows < len(self._scan.hosts)]
        hosts = self._scan.hosts[ports]
        shown = self.alive.copy()
        shown[hosts[running.codes[ports] != PENDING]] = True
        return bool(shown[hosts].all())
