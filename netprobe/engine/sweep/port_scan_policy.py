"""Port verdicts: which ports to ask in the next pass, and what the answers mean. Pure; time is an argument.

Silence proves nothing by itself: hosts and firewalls answer only so many packets per second (RFC 1812 section
4.3.2.8, RFC 4443 section 2.4 f), and then a closed port looks filtered. So a silence counts only if **every
kind of refusal this host has given so far still arrives at the end of the same burst**. The ports that are
asked again for that are its *controls*. Packets to silent ports use up none of the host's answers, so one
control vouches for a whole burst. Where a control stays away, the host is asked in smaller bursts and at
longer intervals, and what was silent is asked again. Controls then take turns, one per burst, and wait until
a burst has brought no answer, because they use up answers themselves.

A host that refuses nothing is vouched for by a port that is open, or by its echo: while one that has shown
itself shows nothing at all, it or we are starved, and its silence does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.engine.sweep.targets import (
    Codes,
    ResultCode,
    RoundResult,
    SweepAnswers,
)
from netprobe.model.units import MILLISECOND_NS
from netprobe.wire.batch import Flags, Indices, Rows

_IS_ANSWER = ~np.isin(
    np.arange(len(ResultCode)), (ResultCode.PENDING, ResultCode.TIMED_OUT, ResultCode.NOT_MEASURED)
)
_IS_REFUSAL = np.isin(
    np.arange(len(ResultCode)), (ResultCode.REFUSED, ResultCode.REJECTED, ResultCode.TOO_BIG)
)
"""By code."""
_MOST_MUTE = 6
"""So many passes in a row without a sign of a host that had shown itself are enough: nobody can tell."""
_BURST, _CAREFUL_BURST, _LEAST_BURST = 512, 16, 4
_FIRST_GAP_NS, _LEAST_GAP_NS, _MOST_GAP_NS = 100 * MILLISECOND_NS, 25 * MILLISECOND_NS, 1100 * MILLISECOND_NS
"""Linux gives one ICMP error per second and peer by default (``icmp_ratelimit``)."""
_GATHER_NS = 40 * MILLISECOND_NS
"""Hosts whose turns are no further apart are asked together: a pass costs by the pass, not by the packet."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How much silence it takes."""

    tries: int = 3
    """Silences of a port on a host that has not refused anything yet, and so has nothing to control with."""
    vouched: int = 1
    """Silences that controls vouch for, beside the first that showed that there is something to vouch for."""
    vouched_careful: int = 3
    """The same on a host that was caught answering late or not at all; one more for every further kind of
    refusal, because there each kind vouches in turn."""


@dataclass(frozen=True, slots=True)
class ScanPass:
    """What to ask next: rows in order, each host's ports together and its controls behind them."""

    rows: Indices
    controls: Flags
    """Which of *rows* are controls."""


class PortScan:
    """The state of one sweep over ports. Rows are pairs of host and port, *hosts* numbers them from 0."""

    def __init__(self, hosts: Indices, *, seed: int, patience: RetryPolicy | None = None) -> None:
        self.hosts = hosts
        self.codes: Codes = np.zeros(len(hosts), dtype=np.uint8)
        self.types: Codes = np.zeros(len(hosts), dtype=np.uint8)
        self.icmp_codes: Codes = np.zeros(len(hosts), dtype=np.uint8)
        self.senders: Rows = np.zeros((len(hosts), 16), dtype=np.uint8)
        self.errnos = np.zeros(len(hosts), dtype=np.int16)
        """Our own kernel's last refusal to send, else 0."""
        self.settled: Flags = np.zeros(len(hosts), dtype=np.bool_)
        self.passes = 0
        count = int(hosts.max()) + 1
        self.is_careful: Flags = np.zeros(count, dtype=np.bool_)
        """Hosts that were caught answering less than they were asked."""
        self.has_fallen_silent: Flags = np.zeros(count, dtype=np.bool_)
        """Hosts that had shown themselves, and then nothing any more."""
        self._patience = patience or RetryPolicy()
        self._open = np.arange(len(hosts))
        self._controls = np.zeros(0, dtype=np.int64)
        """One port for every kind of refusal each host has given; where it gave none, one that is open."""
        self._silences = np.zeros(len(hosts), dtype=np.int64)
        self._vouched = np.zeros(len(hosts), dtype=np.int64)
        self._failures = np.zeros(len(hosts), dtype=np.int64)
        self._burst = np.full(count, _BURST)
        self._gap_ns = np.full(count, _FIRST_GAP_NS)
        self._yielding: Flags = np.zeros(count, dtype=np.bool_)
        """Hosts whose last burst brought an answer from a port."""
        self._not_before_ns = np.zeros(count, dtype=np.int64)
        self._mute_passes = np.zeros(count, dtype=np.int64)
        self._random = np.random.default_rng(seed)

    @property
    def done(self) -> bool:
        """Whether every port has its verdict."""
        return not len(self._open)

    def next_pass(self, *, now_ns: int) -> ScanPass | None:
        """What to ask now; None while every unsettled host must be left alone until :meth:`next_ns`."""
        if self.done or now_ns < self.next_ns():
            return None
        pending = self._random.permutation(self._open)
        pending = pending[self._not_before_ns[self.hosts[pending]] <= now_ns]
        pending = pending[_by_group(self.hosts[pending])]
        burst = pending[_rank(self.hosts[pending]) < self._burst[self.hosts[pending]]]
        wanted = np.zeros(len(self._burst), dtype=np.bool_)
        wanted[self.hosts[burst]] = True
        rows = np.concatenate([burst, self._choose_controls(wanted)])
        is_control = np.arange(len(rows)) >= len(burst)
        order = _by_group(self.hosts[rows])
        return ScanPass(rows[order], is_control[order])

    def next_ns(self) -> int:
        """When the next host may be asked again, and those who may soon after it."""
        turns = self._not_before_ns[self.hosts[self._open]]
        return int(turns[turns <= turns.min() + _GATHER_NS].max())

    @property
    def is_vouched_for(self) -> Flags:
        """Hosts with a port that is asked beside the silent ones."""
        vouched = np.zeros(len(self._burst), dtype=np.bool_)
        vouched[self.hosts[self._controls]] = True
        return vouched

    def note(
        self, asked: ScanPass, result: RoundResult, *, now_ns: int, withdrawn: Flags | None = None
    ) -> None:
        """Take in what came of a pass; *withdrawn* are hosts that had shown themselves, but not in it."""
        self.passes += 1
        ports, controls = asked.rows[~asked.controls], asked.rows[asked.controls]
        unsent = result.errnos[ports] != 0
        self.errnos[ports] = result.errnos[ports]
        codes = np.where(unsent, ResultCode.NOT_MEASURED, result.codes[ports])
        answered = _IS_ANSWER[codes]
        # An answer from a port that was silent before: the host does not always answer when it could.
        late = answered & (self._silences[ports] > 0) & ~self.settled[ports]
        self.is_careful[self.hosts[ports[late]]] = True
        self._settle(ports[answered], result)
        controls = controls[_IS_REFUSAL[self.codes[controls]]]
        mute = self._find_mute(controls, result)
        self._pace(ports, answered, mute, now_ns=now_ns)
        silent = ports[(codes == ResultCode.TIMED_OUT) & ~self.settled[ports]]
        if withdrawn is not None:
            silent = self._doubt(silent, withdrawn & ~self._is_refusing())
        self._silences[silent] += 1
        heard = np.zeros(len(mute), dtype=np.bool_)
        heard[self.hosts[controls[_IS_REFUSAL[result.codes[controls]]]]] = True
        self._vouched[silent[(heard & ~mute)[self.hosts[silent]]]] += 1
        self._give_up_on(silent)
        self._failures[ports[unsent]] += 1
        self.codes[ports[unsent]] = ResultCode.NOT_MEASURED
        self.settled[ports[self._failures[ports] >= self._patience.tries]] = True
        self._open = self._open[~self.settled[self._open]]

    def note_late(self, answers: SweepAnswers) -> None:
        """Take in answers to passes that were thought to be over; better late than wrong."""
        ours = answers.rows < len(self.hosts)
        rows = answers.rows[ours]
        silent = ~self.settled[rows] | ~_IS_ANSWER[self.codes[rows]]
        told = answers.pick(ours).pick(silent)
        self.codes[told.rows] = told.codes
        self.types[told.rows] = told.types
        self.icmp_codes[told.rows] = told.icmp_codes
        self.senders[told.rows] = told.senders
        self._note_settled(told.rows)
        self._open = self._open[~self.settled[self._open]]

    def _choose_controls(self, wanted: Flags) -> Indices:
        """All controls of the hosts *wanted*; of a careful one the next in turn, if it is time for one."""
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
        told = np.concatenate([self._controls, rows[_IS_ANSWER[self.codes[rows]]]])
        if len(told) == len(self._controls):
            return
        kinds = (
            (self.hosts[told] << 24)
            | (self.codes[told].astype(np.int64) << 16)
            | (self.types[told].astype(np.int64) << 8)
            | self.icmp_codes[told]
        )
        self._controls = told[np.unique(kinds, return_index=True)[1]]
        refusals = _IS_REFUSAL[self.codes[self._controls]]
        self._controls = self._controls[refusals | ~self._is_refusing()[self.hosts[self._controls]]]

    def _is_refusing(self) -> Flags:
        """Hosts that have refused something."""
        refusing = np.zeros(len(self._burst), dtype=np.bool_)
        refusing[self.hosts[self._controls[_IS_REFUSAL[self.codes[self._controls]]]]] = True
        return refusing

    def _doubt(self, silent: Indices, withdrawn: Flags) -> Indices:
        """Those of the *silent* ports whose silence counts; others are given up after a while, untold."""
        hosts = np.unique(self.hosts[silent])
        self._mute_passes[hosts] = np.where(withdrawn[hosts], self._mute_passes[hosts] + 1, 0)
        fallen = hosts[self._mute_passes[hosts] >= _MOST_MUTE]
        self.has_fallen_silent[fallen] = True
        self.settled[silent[self.has_fallen_silent[self.hosts[silent]]]] = True
        return silent[~withdrawn[self.hosts[silent]]]

    def _find_mute(self, controls: Indices, result: RoundResult) -> Flags:
        """Hosts of which a control stayed away."""
        mute = np.zeros(len(self._burst), dtype=np.bool_)
        codes = result.codes[controls]
        away = ~_IS_REFUSAL[codes] & (codes != ResultCode.NOT_MEASURED)
        mute[self.hosts[controls[away]]] = True
        return mute

    def _pace(self, ports: Indices, answered: Flags, mute: Flags, *, now_ns: int) -> None:
        asked = np.nonzero(np.bincount(self.hosts[ports], minlength=len(mute)))[0]
        self.is_careful |= mute
        gained = np.bincount(self.hosts[ports[answered]], minlength=len(mute)) > 0
        self._yielding[asked] = gained[asked]
        ok, empty = asked[~mute[asked]], asked[mute[asked] & ~gained[asked]]
        careful = self.is_careful
        self._burst[ok] = np.minimum(np.where(careful[ok], _CAREFUL_BURST, _BURST), self._burst[ok] * 2)
        self._burst[mute] = np.clip(self._burst[mute] // 2, _LEAST_BURST, _CAREFUL_BURST)
        self._gap_ns[ok] = np.maximum(_LEAST_GAP_NS, self._gap_ns[ok] * 7 // 10)
        self._gap_ns[empty] = np.minimum(_MOST_GAP_NS, self._gap_ns[empty] * 3 // 2)
        self._not_before_ns[asked] = now_ns + np.where(careful[asked], self._gap_ns[asked], 0)

    def _give_up_on(self, silent: Indices) -> None:
        """Silent long enough: that is the verdict."""
        hosts = self.hosts[silent]
        refusing = self._is_refusing()
        kinds = np.bincount(self.hosts[self._controls], minlength=len(self._burst))
        careful = self._patience.vouched_careful + np.maximum(1, kinds)[hosts] - 1
        needed = np.where(self.is_careful[hosts], careful, self._patience.vouched)
        vouched = self._vouched[silent] >= needed
        enough = np.where(refusing[hosts], vouched, self._silences[silent] >= self._patience.tries)
        given_up = silent[enough]
        self.codes[given_up] = ResultCode.TIMED_OUT
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
