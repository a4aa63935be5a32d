"""Drives an inquiry with a sweep: pass after pass, each as long as answers may come; owns the clock."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from netprobe.engine.sweep.adaptive_timeout import AdaptiveTimeout
from netprobe.engine.sweep.port_scan_policy import PortScan, ScanPass
from netprobe.engine.sweep.rounds import SweepRound
from netprobe.engine.sweep.sweep import Sweep, SweepSettings
from netprobe.engine.sweep.targets import Codes, ResultCode, RoundResult
from netprobe.model.units import MILLISECOND_NS
from netprobe.wire.batch import Flags, Indices, Rows

_TIMEOUT_NS = 500 * MILLISECOND_NS
"""How long a host is waited for that has not shown itself in this sweep, and nobody longer than that, unless
answers are slow."""
_LEAST_QUIET_NS = 80 * MILLISECOND_NS
"""A pass is over when all its hosts have shown themselves and this long, or four times the slowest answer,
nothing has come in. Until then nobody wakes for an answer: each knows when it came. Should that be too short
for a host, its controls stay away, too."""
_TICK_NS = 20 * MILLISECOND_NS
_BATCH = 512
"""Packets per system call, more than where times count. A tick's worth stays within the 1,000 packets that
Linux queues per processor (``netdev_max_backlog``): ticks of 2,000 lost some on a busy machine."""


class PortScanner:
    """Asks until every port has its verdict."""

    def __init__(self, sweep: Sweep, inquiry: PortScan, *, rate: float | None, deadline_ns: int) -> None:
        self._sweep, self._inquiry, self._deadline_ns = sweep, inquiry, deadline_ns
        # Each pass ends with a quiet time that is longer than a tick, so its first tick may leave at once.
        self._pace = SweepSettings(
            rate=rate,
            timeout_ns=_TIMEOUT_NS,
            tick_ns=_TICK_NS,
            head_start_ns=_TICK_NS,
            most_ticks=1,
            batch=_BATCH,
            late_counts=True,
        )
        self._waiting = AdaptiveTimeout(_TIMEOUT_NS)
        self.probes = 0
        self.stalled_ns = 0
        """How long we stood still in passes in which silence therefore said nothing."""
        count = int(inquiry.hosts.max()) + 1
        self._host_of = np.concatenate([inquiry.hosts, np.arange(count)])
        """The host behind each question: ports first, then one echo for every host."""
        self.alive: Flags = np.zeros(count, dtype=np.bool_)

    def run(self, *, witnesses: Indices) -> None:
        """Ask until every port has its verdict or time is over."""
        while not self._inquiry.done and (now_ns := time.monotonic_ns()) < self._deadline_ns:
            chosen = self._inquiry.next_pass(now_ns=now_ns)
            if chosen is None:
                wake_ns = min(self._inquiry.next_ns(), self._deadline_ns)
                time.sleep(max(0, wake_ns - time.monotonic_ns()) / 1e9)
                continue
            rows = np.concatenate([chosen.rows, self._choose_echoes(chosen.rows, witnesses)])
            result = self._ask(rows)
            self.probes += len(rows)
            self.stalled_ns += result.stalled_ns
            self._take_in(chosen, result)

    def _choose_echoes(self, ports: Indices, witnesses: Indices) -> Indices:
        """Behind the first pass, the echoes of hosts that have shown nothing yet, or nothing but an echo."""
        if not self._inquiry.passes:
            return witnesses[:0]
        lives_by_echo = np.zeros(len(witnesses), dtype=np.bool_)
        lives_by_echo[self._inquiry.hosts[ports]] = True
        return witnesses[~self.alive | (lives_by_echo & ~self._inquiry.is_vouched_for)]

    def _take_in(self, chosen: ScanPass, result: RoundResult) -> None:
        """What came late goes first: it shows that its silence was none."""
        was_alive, shown = self.alive.copy(), np.zeros(len(self.alive), dtype=np.bool_)
        late = self._sweep.take_late()
        for answers in late:
            self._inquiry.note_late(answers)
            self._note_alive(answers.rows, answers.codes, answers.senders, shown)
        asked = np.nonzero(result.asked)[0]
        self._note_alive(asked, result.codes[asked], result.senders[asked], shown)
        self._inquiry.note(chosen, result, now_ns=time.monotonic_ns(), withdrawn=was_alive & ~shown)
        self._waiting.note(result, is_late=bool(late))

    def _note_alive(self, rows: Indices, codes: Codes, senders: Rows, shown: Flags) -> None:
        """Which hosts these answers show to be alive; about whom anybody said anything is in *shown*."""
        answered = self._host_of[rows[(codes == ResultCode.REACHED) | (codes == ResultCode.REFUSED)]]
        rejected = np.nonzero(codes == ResultCode.REJECTED)[0]
        rejecting = self._host_of[rows[rejected]]
        itself = (senders[rejected] == self._sweep.questions.addresses[rows[rejected]]).all(axis=1)
        self.alive[answered] = self.alive[rejecting[itself]] = True
        shown[answered] = shown[rejecting] = True

    def _ask(self, rows: Indices) -> RoundResult:
        left_ns = self._deadline_ns - time.monotonic_ns()
        patience_ns = max(_TIMEOUT_NS, min(self._waiting.timeout_ns, left_ns))
        number = self._sweep.begin(replace(self._pace, timeout_ns=patience_ns), rows=rows)
        running = self._sweep.running(number)
        while (wake_ns := self._sweep.step()) is not None:
            now_ns = time.monotonic_ns()
            if running.all_sent and now_ns < (over_ns := self._over_ns(running)):
                self._sweep.sleep(until_ns=min(over_ns, wake_ns))
            elif running.all_sent and self._all_shown(running, rows):
                break
            else:
                self._sweep.wait(number, until_ns=wake_ns)
        return self._sweep.finish(number)

    def _over_ns(self, running: SweepRound) -> int:
        """When it has been quiet for long enough, as far as is known now."""
        quiet_ns = self._waiting.quiet_ns(_LEAST_QUIET_NS, int(running.rtts_ns.max(initial=0)))
        return max(running.last_sent_ns, running.last_news_ns) + quiet_ns

    def _all_shown(self, running: SweepRound, rows: Indices) -> bool:
        """Whether every host that is asked has ever answered anything."""
        ports = rows[rows < len(self._inquiry.hosts)]
        hosts = self._inquiry.hosts[ports]
        shown = self.alive.copy()
        shown[hosts[running.codes[ports] != ResultCode.PENDING]] = True
        return bool(shown[hosts].all())
