"""How much each class of one component gains, in each mode of loss.

Two conditions are joined only where each of them could explain enough: a class cannot gain more than its
wider ones can at most, so that what is left out could not have been the best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netprobe.analysis.localise.likelihood import MAX_RATE
from netprobe.analysis.localise.loss_modes import RATES, SHARES, Gains, LossMode
from netprobe.analysis.localise.traffic_classes import ALL, TrafficClasses
from netprobe.model.arrays import FloatArray, IntArray

NEVER = -1e9
MODES = (LossMode.DEAD, LossMode.RATE, LossMode.HASH, LossMode.SPLIT)
_RATE_PRICE = 1.0
"""Price of a fitted rate beside ½ ln(rows), the usual one for a parameter (Schwarz 1978)."""
_SHARE_PRICE = 2.0


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Classes of a component: each is what two of its single classes share.

    `ALL` is the second of a single one.
    """

    first: IntArray
    second: IntArray
    net: FloatArray
    """`MODES` × classes, in nats; `NEVER` where a mode does not apply."""
    size: FloatArray
    """`MODES` × classes: rate (dead, rate) or share (hash, split)."""


def score_classes(
    classes: TrafficClasses, gains: Gains, *, price: float, least: float, behind: float
) -> ClassScores:
    """The classes that gain *least*, or within *behind* of the best, and all single ones.

    *price*: of naming the component.
    """
    here = gains.at(classes.rows)
    singles = np.arange(len(classes.price))
    net, size = _score(classes.weights, here, classes.price + price, with_shares=True)
    least = max(least, float(net.max(initial=NEVER)) - behind)
    first, second = _join(classes, here, price, least)
    if not len(first):
        return ClassScores(singles, np.full_like(singles, ALL), net, size)
    both = classes.weights[first] * classes.weights[second]
    prices = classes.price[first] + classes.price[second] + price
    pair_net, pair_size = _score(both, here, prices, with_shares=False)
    return ClassScores(
        np.concatenate((singles, first)),
        np.concatenate((np.full_like(singles, ALL), second)),
        np.concatenate((net, pair_net), axis=1),
        np.concatenate((size, pair_size), axis=1),
    )


def score_class(
    classes: TrafficClasses, gains: Gains, first: int, second: int, *, price: float
) -> FloatArray:
    """By mode, what the class that *first* and *second* share gains; *price*: of naming the component."""
    mask = classes.weights[[first]] * classes.weights[[second]]
    prices = np.array([classes.price[first] + classes.price[second] + price])
    net, _ = _score(mask, gains.at(classes.rows), prices, with_shares=second == ALL)
    by_mode: FloatArray = net[:, 0]
    return by_mode


def _join(classes: TrafficClasses, here: Gains, price: float, least: float) -> tuple[IntArray, IntArray]:
    """Pairs of conditions of different attributes that could together gain *least*."""
    bounds = classes.weights @ here.most_alike - classes.price - price
    able = np.flatnonzero((bounds >= least) & (classes.column >= 0))
    first, second = np.triu_indices(len(able), 1)
    masks = classes.weights[able]
    shared = (
        (masks * here.most_alike) @ masks.T - np.add.outer(classes.price[able], classes.price[able]) - price
    )
    is_able = (shared[first, second] >= least) & (classes.column[able[first]] != classes.column[able[second]])
    return able[first[is_able]], able[second[is_able]]


def _score(
    masks: FloatArray, here: Gains, price: FloatArray, *, with_shares: bool
) -> tuple[FloatArray, FloatArray]:
    """Net gain and size by mode and class.

    A mixture inside a class of two conditions is not looked for. Where each packet opens a flow, a share of
    the flows is a rate.
    """
    sums, every = here.summed(masks), np.arange(len(masks))
    fitted = price + 0.5 * np.log(np.maximum(masks.sum(1), 1))
    rate, hashed, split = sums.rate.argmax(1), sums.hash.argmax(1), sums.split.argmax(1)
    net = np.full((len(MODES), len(masks)), NEVER)
    net[0] = sums.dead - price
    net[1] = sums.rate[every, rate] - np.maximum(sums.healthy, 0) - fitted - _RATE_PRICE
    if with_shares:
        net[2] = sums.hash[every, hashed] - fitted - _SHARE_PRICE
        net[3] = sums.split[every, split] - fitted - _SHARE_PRICE
    net[MODES.index(LossMode.HASH), sums.kept == 0] = NEVER
    net[:, sums.hit == 0] = NEVER
    size = np.stack((np.full(len(masks), MAX_RATE), RATES[rate], SHARES[hashed], SHARES[split]))
    return net, size
