"""Policy of a port scan: which ports to ask in the next pass, and port verdicts. Pure; time is an argument.

Rule: silence alone proves nothing, because hosts and firewalls limit the rate of their answers (RFC 1812
section 4.3.2.8, RFC 4443 section 2.4 f), and then a closed port looks filtered. Silence counts only if
**every kind of refusal that this host has given so far still arrives at the end of the same burst**. The
ports that are asked again for this are its *control ports*. Packets to silent ports use up none of the host's
answers, so one control port is enough for a whole burst. If a control port does not answer, the host is asked
in smaller bursts at longer intervals, and its silent ports are asked again. Control ports then take turns,
one per burst, and wait for a burst without answers, because they use up answers themselves.

For a host that refuses nothing, an open port or its echo is the control. If a host that has answered before
does not answer at all, it or this machine lacks processor time, and its silence does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.engine.sweep.targets import (
    NOT_MEASURED,
    PENDING,
    REFUSED,
    REJECTED,
    TIMED_OUT,
    TOO_BIG,
    Codes,
    ResultCode,
    RoundResult,
    SweepAnswers,
)
from netprobe.model.units import MILLISECOND_NS
from netprobe.wire.batch import Flags, Indices, Rows

_IS_ANSWER = ~np.isin(np.arange(len(ResultCode)), (PENDING, TIMED_OUT, NOT_MEASURED))
_IS_REFUSAL = np.isin(np.arange(len(ResultCode)), (REFUSED, REJECTED, TOO_BIG))
"""Indexed by :class:`ResultCode`."""
_MOST_MUTE = 6
"""Passes in a row without an answer from a host that had answered, after which its ports are undecided."""
_BURST, _CAREFUL_BURST, _LEAST_BURST = 512, 32, 4
_FIRST_GAP_NS, _LEAST_GAP_NS, _MOST_GAP_NS = 100 * MILLISECOND_NS, 25 * MILLISECOND_NS, 1100 * MILLISECOND_NS
"""Linux sends one ICMP error per second and peer by default (``icmp_ratelimit``)."""
_LEAST_FED_GAP_NS = 60 * MILLISECOND_NS
"""The smallest gap after a burst that got answers: a host gathers a few before it is asked again, because
the cost is per pass. After a burst without answers nothing is gathered for."""
_GATHER_NS = 40 * MILLISECOND_NS
"""Hosts that are due within this time are asked in one pass, because the cost is per pass."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How much silence makes a verdict."""

    tries: int = 3
    """Silent tries of a port on a host that has not refused anything yet, and so has no control port."""
    vouched: int = 1
    """Silent tries with answered control ports, beside the first try."""
    vouched_careful: int = 3
    """The same for a host that answered late or not at all; one more for every further kind of refusal,
    because its control ports take turns."""


@dataclass(frozen=True, slots=True)
class ScanPass:
    """Rows to ask next, in order: each host's ports together, followed by its control ports.

    The first pass has no control ports. Its rows are mixed over all hosts, so that a host that limits its
    answers gives more of them.
    """

    rows: Indices
    controls: Flags
    """Flags of the rows that are control ports."""


class PortScan:
    """The state of one port scan. Rows are pairs of host and port; *hosts* numbers the hosts from 0."""

    def __init__(self, hosts: Indices, *, seed: int, patience: RetryPolicy | None = None) -> None:
        self.hosts = hosts
        self.codes: Codes = np.zeros(len(hosts), dtype=np.uint8)
        self.types: Codes = np.zeros(len(hosts), dtype=np.uint8)
        self.icmp_codes: Codes = np.zeros(len(hosts), dtype=np.uint8)
        self.senders: Rows = np.zeros((len(hosts), 16), dtype=np.uint8)
        self.errnos = np.zeros(len(hosts), dtype=np.int16)
        """The errno of our kernel's last refusal to send, else 0."""
        self.settled: Flags = np.zeros(len(hosts), dtype=np.bool_)
        self.passes = 0
        count = int(hosts.max()) + 1
        self.is_careful: Flags = np.zeros(count, dtype=np.bool_)
        """Hosts that answered fewer packets than they received."""
        self.has_fallen_silent: Flags = np.zeros(count, dtype=np.bool_)
        """Hosts that answered at first and then stopped."""
        self._patience = patience or RetryPolicy()
        self._open = np.arange(len(hosts))
        self._controls = np.zeros(0, dtype=np.int64)
        """One port for every kind of refusal of each host, or an open port if it refused nothing."""
        self._silences = np.zeros(len(hosts), dtype=np.int64)
        self._vouched = np.zeros(len(hosts), dtype=np.int64)
        self._failures = np.zeros(len(hosts), dtype=np.int64)
        self._burst = np.full(count, _BURST)
        self._gap_ns = np.full(count, _FIRST_GAP_NS)
        self._yielding: Flags = np.zeros(count, dtype=np.bool_)
        """Hosts whose last burst got an answer from a port."""
        self._not_before_ns = np.zeros(count, dtype=np.int64)
        self._mute_passes = np.zeros(count, dtype=np.int64)
        self._random = np.random.default_rng(seed)

    @property
    def done(self) -> bool:
        """Whether every port has a verdict."""
        return not len(self._open)

    def next_pass(self, *, now_ns: int) -> ScanPass | None:
        """What to ask now; None if every unsettled host has to wait until :meth:`next_ns`."""
        if self.done or now_ns < self.next_ns():
            return None
        pending = self._random.permutation(self._open)
        pending = pending[self._not_before_ns[self.hosts[pending]] <= now_ns]
        in_groups = pending[_by_group(self.hosts[pending])]
        burst = in_groups[_rank(self.hosts[in_groups]) < self._burst[self.hosts[in_groups]]]
        if not self.passes:
            return ScanPass(self._random.permutation(burst), np.zeros(len(burst), dtype=np.bool_))
        wanted = np.zeros(len(self._burst), dtype=np.bool_)
        wanted[self.hosts[burst]] = True
        rows = np.concatenate([burst, self._choose_controls(wanted)])
        is_control = np.arange(len(rows)) >= len(burst)
        order = _by_group(self.hosts[rows])
        return ScanPass(rows[order], is_control[order])

    def is_careful_pass(self, asked: ScanPass) -> bool:
        """Whether all hosts of this pass are asked slowly, and so each of their ports several times."""
        return bool(self.is_careful[self.hosts[asked.rows]].all())

    def next_ns(self) -> int:
        """When the next host may be asked again, together with those that are due soon after."""
        turns = self._not_before_ns[self.hosts[self._open]]
        return int(turns[turns <= turns.min() + _GATHER_NS].max())

    @property
    def is_vouched_for(self) -> Flags:
        """Hosts that have a control port."""
        vouched = np.zeros(len(self._burst), dtype=np.bool_)
        vouched[self.hosts[self._controls]] = True
        return vouched

    def note(
        self, asked: ScanPass, result: RoundResult, *, now_ns: int, withdrawn: Flags | None = None
    ) -> None:
        """Process the result of a pass; *withdrawn* are hosts that answered before, but not in this pass."""
        self.passes += 1
        ports, controls = asked.rows[~asked.controls], asked.rows[asked.controls]
        unsent = result.errnos[ports] != 0
        self.errnos[ports] = result.errnos[ports]
        codes = np.where(unsent, NOT_MEASURED, result.codes[ports])
        answered = _IS_ANSWER[codes]
        # An answer from a port that was silent before shows that the host does not always answer.
        late = answered & (self._silences[ports] > 0) & ~self.settled[ports]
        self.is_careful[self.hosts[ports[late]]] = True
        self._settle(ports[answered], result)
        controls = controls[_IS_REFUSAL[self.codes[controls]]]
        mute = self._find_mute(controls, result)
        self._pace(ports, answered, mute, now_ns=now_ns)
        silent = ports[(codes == TIMED_OUT) & ~self.settled[ports]]
        if withdrawn is not None:
            silent = self._doubt(silent, withdrawn & ~self._is_refusing())
        self._silences[silent] += 1
        controlled = np.zeros(len(mute), dtype=np.bool_)
        controlled[self.hosts[controls[_IS_REFUSAL[result.codes[controls]]]]] = True
        self._vouched[silent[(controlled & ~mute)[self.hosts[silent]]]] += 1
        self._give_up_on(silent)
        self._failures[ports[unsent]] += 1
        self.codes[ports[unsent]] = NOT_MEASURED
        self.settled[ports[self._failures[ports] >= self._patience.tries]] = True
        self._open = self._open[~self.settled[self._open]]

    def note_late(self, answers: SweepAnswers) -> None:
        """Process late answers to earlier passes."""
        ours = answers.rows < len(self.hosts)
        rows = answers.rows[ours]
        silent = ~self.settled[rows] | ~_IS_ANSWER[self.codes[rows]]
        late = answers.pick(ours).pick(silent)
        self.codes[late.rows] = late.codes
        self.types[late.rows] = late.types
        self.icmp_codes[late.rows] = late.icmp_codes
        self.senders[late.rows] = late.senders
        self._note_settled(late.rows)
        self._open = self._open[~self.settled[self._open]]

    def _choose_controls(self, wanted: Flags) -> Indices:
        """All control ports of the hosts *wanted*; of careful hosts only the next in turn, if one is due."""
        controls = self._controls[wanted[self.hosts[self._controls]]]
        hosts = self.hosts[controls]
        turn = (self.passes + hosts) % np.maximum(1, np.bincount(hosts, minlength=len(wanted)))[hosts]
        in_turn = (_rank(hosts) == turn) & ~self._yielding[hosts]
        chosen: Indices = controls[~self.is_careful[hosts] | in_turn]
        return chosen

    def _settle(self, rows: Indices, result: RoundResult) -> None:
        self.codes[rows] = result.codes[rows]
        self.types[rows] = result.types[rows]
        self.icmp_codes[rows] = result.icmp_codes[rows]
        self.senders[rows] = result.senders[rows]
        self._note_settled(rows)

    def _note_settled(self, rows: Indices) -> None:
        self.settled[rows] = True
        candidates = np.concatenate([self._controls, rows[_IS_ANSWER[self.codes[rows]]]])
        if len(candidates) == len(self._controls):
            return
        kinds = (
            (self.hosts[candidates] << 24)
            | (self.codes[candidates].astype(np.int64) << 16)
            | (self.types[candidates].astype(np.int64) << 8)
            | self.icmp_codes[candidates]
        )
        self._controls = candidates[np.unique(kinds, return_index=True)[1]]
        refusals = _IS_REFUSAL[self.codes[self._controls]]
        self._controls = self._controls[refusals | ~self._is_refusing()[self.hosts[self._controls]]]

    def _is_refusing(self) -> Flags:
        """Hosts that have refused a port."""
        refusing = np.zeros(len(self._burst), dtype=np.bool_)
        refusing[self.hosts[self._controls[_IS_REFUSAL[self.codes[self._controls]]]]] = True
        return refusing

    def _doubt(self, silent: Indices, withdrawn: Flags) -> Indices:
        """The *silent* ports whose silence counts; the others are given up after a while, undecided."""
        hosts = np.unique(self.hosts[silent])
        self._mute_passes[hosts] = np.where(withdrawn[hosts], self._mute_passes[hosts] + 1, 0)
        fallen = hosts[self._mute_passes[hosts] >= _MOST_MUTE]
        self.has_fallen_silent[fallen] = True
        self.settled[silent[self.has_fallen_silent[self.hosts[silent]]]] = True
        return silent[~withdrawn[self.hosts[silent]]]

    def _find_mute(self, controls: Indices, result: RoundResult) -> Flags:
        """Hosts with a silent control port."""
        mute = np.zeros(len(self._burst), dtype=np.bool_)
        codes = result.codes[controls]
        away = ~_IS_REFUSAL[codes] & (codes != NOT_MEASURED)
        mute[self.hosts[controls[away]]] = True
        return mute

    def _pace(self, ports: Indices, answered: Flags, mute: Flags, *, now_ns: int) -> None:
        asked_hosts = np.nonzero(np.bincount(self.hosts[ports], minlength=len(mute)))[0]
        self.is_careful |= mute
        gained = np.bincount(self.hosts[ports[answered]], minlength=len(mute)) > 0
        self._yielding[asked_hosts] = gained[asked_hosts]
        ok, empty = asked_hosts[~mute[asked_hosts]], asked_hosts[mute[asked_hosts] & ~gained[asked_hosts]]
        careful = self.is_careful
        self._burst[ok] = np.minimum(np.where(careful[ok], _CAREFUL_BURST, _BURST), self._burst[ok] * 2)
        self._burst[mute] = np.clip(self._burst[mute] // 2, _LEAST_BURST, _CAREFUL_BURST)
        least_ns = np.where(gained[ok], _LEAST_FED_GAP_NS, _LEAST_GAP_NS)
        self._gap_ns[ok] = np.maximum(least_ns, self._gap_ns[ok] * 7 // 10)
        self._gap_ns[empty] = np.minimum(_MOST_GAP_NS, self._gap_ns[empty] * 3 // 2)
        self._not_before_ns[asked_hosts] = now_ns + np.where(
            careful[asked_hosts], self._gap_ns[asked_hosts], 0
        )

    def _give_up_on(self, silent: Indices) -> None:
        """Settle ports that were silent for long enough."""
        hosts = self.hosts[silent]
        refusing = self._is_refusing()
        kinds = np.bincount(self.hosts[self._controls], minlength=len(self._burst))
        careful = self._patience.vouched_careful + np.maximum(1, kinds)[hosts] - 1
        needed = np.where(self.is_careful[hosts], careful, self._patience.vouched)
        vouched = self._vouched[silent] >= needed
        enough = np.where(refusing[hosts], vouched, self._silences[silent] >= self._patience.tries)
        given_up = silent[enough]
        self.codes[given_up] = TIMED_OUT
        self.settled[given_up] = True


def _by_group(groups: NDArray[np.int64]) -> Indices:
    """The stable order by group number; short numbers sort in linear time."""
    return np.argsort(groups.astype(np.uint16) if groups.max(initial=0) < 1 << 16 else groups, kind="stable")


def _rank(groups: NDArray[np.int64]) -> Indices:
    """The position of each element within its run of equal *groups* (sorted)."""
    places = np.arange(len(groups))
    is_first = np.append(True, groups[1:] != groups[:-1])[: len(groups)]
    rank: Indices = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return rank
