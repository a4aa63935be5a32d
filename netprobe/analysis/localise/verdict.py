"""From the components an engine accuses to the full answer; the same for every engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.analysis.localise.evidence import L, Observations, sum_by_component
from netprobe.analysis.localise.interface import Localisation, Suspect
from netprobe.model.arrays import BoolArray, FloatArray, IntArray

_A_PACKET = 0.5
_DEAD = 1 - 1e-9
SURPRISE = 0.01
"""A row speaks against a suspect when so few losses had at most this probability."""


@dataclass(frozen=True, slots=True)
class Accused:
    """A component (the first of its class), its estimated loss and what accusing it gained."""

    component: int
    loss: float
    gain: float
    rivals: tuple[int, ...] = ()
    share: float = 1.0
    """See `Suspect`."""


def conclude(
    observations: Observations[L], accused: list[Accused], *, background: float | None = None
) -> Localisation[L]:
    """Gather classes, rows for and against, and what is hidden, unmeasured or innocent."""
    ranked = sorted(accused, key=lambda suspect: (-suspect.gain, suspect.component))
    is_suspect = np.isin(observations.classes, [suspect.component for suspect in ranked])
    sent = sum_by_component(observations, observations.sent)
    through = _come_through(observations, ranked)
    explained = _rows_crossing(observations, is_suspect)
    hidden = ~is_suspect & (sent > 0) & (through < _A_PACKET)
    unmeasured = ~is_suspect & (sent <= 0)
    return Localisation(
        suspects=_suspects(observations, ranked),
        hidden=_names(observations, hidden),
        unmeasured=_names(observations, unmeasured),
        innocent=_names(observations, ~(is_suspect | hidden | unmeasured)),
        unexplained=_numbers(np.flatnonzero((observations.lost > 0) & ~explained)),
        background=background,
    )


def _come_through(observations: Observations[L], accused: list[Accused]) -> FloatArray:
    """Packets that came through each component; where a row has several paths, as many as are expected.

    A path over dead parts is none that a row can have taken whose packets came through.
    """
    matrix = observations.matrix
    arrived = (observations.sent - observations.lost).astype(np.float64)
    if not matrix.has_path_sets:
        return sum_by_component(observations, arrived)
    loss_of = np.zeros(len(matrix.components))
    for suspect in accused:
        loss_of[suspect.component] = suspect.loss
    path = np.repeat(np.arange(len(matrix.path_indptr) - 1), np.diff(matrix.path_indptr))
    rate = np.bincount(
        path, -np.log1p(-np.minimum(loss_of, _DEAD))[matrix.path_indices], len(matrix.path_indptr) - 1
    )
    row = np.repeat(np.arange(matrix.rows), matrix.paths_per_row)
    score = -rate * arrived[row]
    score = np.exp(score - np.maximum.reduceat(score, matrix.row_indptr[:-1])[row])
    weight = score / np.add.reduceat(score, matrix.row_indptr[:-1])[row]
    expected = (arrived[row] * weight)[path]
    return np.bincount(matrix.path_indices, expected, len(matrix.components)).astype(np.float64)


def _suspects(observations: Observations[L], ranked: list[Accused]) -> tuple[Suspect[L], ...]:
    matrix = observations.matrix
    loss_of = np.zeros(len(matrix.components))
    for suspect in ranked:
        loss_of[suspect.component] = max(suspect.loss, np.finfo(float).tiny)
    crossings = matrix.crossings
    loss = loss_of[crossings.component]
    largest = np.zeros(matrix.rows)
    np.maximum.at(largest, crossings.row, loss)
    found = []
    for suspect in ranked:
        here = crossings.component == suspect.component
        rows, share = crossings.row[here], crossings.share[here]
        sent, lost = observations.sent[rows], observations.lost[rows]
        best = loss_of[suspect.component] >= largest[rows]
        found.append(
            Suspect(
                components=_names(observations, observations.classes == suspect.component),
                loss=suspect.loss,
                gain=suspect.gain,
                supporting=_numbers(rows[(lost > 0) & best]),
                contradicting=_numbers(rows[(share == 1) & too_few(sent, lost, suspect.loss)]),
                rivals=tuple(matrix.components[rival] for rival in suspect.rivals),
                share=suspect.share,
            )
        )
    return tuple(found)


def too_few(sent: IntArray, lost: IntArray, loss: float | FloatArray) -> BoolArray:
    """Whether P(at most *lost* of *sent*) ≤ :data:`SURPRISE`, by Chernoff's bound on the binomial tail."""
    observed = lost / np.maximum(sent, 1)
    rate = np.clip(np.asarray(loss, np.float64), 1e-9, 1 - 1e-9)
    bound = np.exp(-sent * _divergence(observed, rate))
    return (observed < rate) & (bound <= SURPRISE)


def _divergence(observed: FloatArray, rate: FloatArray) -> FloatArray:
    """Kullback–Leibler divergence between two coins."""
    tail = 1 - observed
    heads = observed * np.log(np.where(observed > 0, observed, 1) / rate)
    return heads + tail * np.log(np.where(tail > 0, tail, 1) / (1 - rate))


def _rows_crossing(observations: Observations[L], chosen: BoolArray) -> BoolArray:
    crossings = observations.matrix.crossings
    hit = np.zeros(observations.matrix.rows, bool)
    hit[crossings.row[chosen[crossings.component]]] = True
    return hit


def _names(observations: Observations[L], chosen: BoolArray) -> tuple[L, ...]:
    components = observations.matrix.components
    return tuple(components[index] for index in np.flatnonzero(chosen).tolist())


def _numbers(rows: IntArray) -> tuple[int, ...]:
    return tuple(sorted(rows.tolist()))
