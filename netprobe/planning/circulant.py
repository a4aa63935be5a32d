"""Circulant plan of one cluster, in which adding or removing a node changes k checks instead of all.

Rules: every node has one of S slots, S a prime, computed from its name, so that no state is needed. Offset o
connects the slots in one cycle s → s + o (mod S), as S is prime; each node asks the node in the next
*occupied* slot of the cycle. So every node asks once and is asked once per offset, a node that is added or
removed changes one other check per offset, and after all offsets every ordered pair was asked: a pair whose
slots differ by o is connected directly by offset o.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from netprobe.errors import MisuseError
from netprobe.model.arrays import IntArray

KeyArray = npt.NDArray[np.uint64]


def node_keys(names: Iterable[str]) -> KeyArray:
    """A 64-bit key per name; equal names have equal keys in every run."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def slot_count(nodes: int) -> int:
    """Number of slots of a cluster of *nodes*: a prime above twice the next power of two.

    It changes only when the cluster outgrows a power of two; only then the whole cluster gets another plan.

    >>> slot_count(1000), slot_count(1024), slot_count(1025)
    (2053, 2053, 4099)
    """
    candidate = 2 * (1 << max(nodes - 1, 1).bit_length()) + 1
    while any(candidate % divisor == 0 for divisor in range(3, int(candidate**0.5) + 1, 2)):
        candidate += 2
    return candidate


def assign_slots(keys: KeyArray, slots: int) -> IntArray:
    """Give each node the first slot of its own sequence that no node with a smaller key claims.

    The sequences are those of double hashing. This is a stable matching (Gale and Shapley, 1962), so the
    order of the nodes does not matter; as at most half of the slots are taken, a new node displaces less than
    one other on average.
    """
    if len(keys) > slots or len(np.unique(keys)) < len(keys):
        raise MisuseError(f"{len(keys)} nodes do not fit into {slots} slots, or two have the same key")
    start = keys % np.uint64(slots)
    step = np.uint64(1) + (keys >> np.uint64(32)) % np.uint64(slots - 1)
    tries = np.zeros(len(keys), np.uint64)
    while True:
        claimed = (start + tries * step) % np.uint64(slots)
        order = np.lexsort((keys, claimed))
        taken = np.zeros(len(keys), bool)
        taken[order[1:]] = claimed[order[1:]] == claimed[order[:-1]]
        if not taken.any():
            return claimed.astype(np.int64)
        tries[taken] += np.uint64(1)


def follow(slot: IntArray, *, slots: int, offset: int) -> IntArray:
    """For each node, the node in the next occupied slot of the cycle of *offset* (1 … slots − 1).

    >>> follow(np.array([0, 2, 3]), slots=5, offset=1)
    array([1, 2, 0])
    """
    turn = slot * pow(offset, -1, slots) % slots
    order = np.argsort(turn)
    target = np.empty(len(slot), np.int64)
    target[order] = np.roll(order, -1)
    return target


def offsets_of(epoch: int, *, slots: int, degree: int, seed: int) -> IntArray:
    """The *degree* offsets of one epoch; all offsets are used once before one is used again.

    An offset and its opposite never share an epoch: their checks would be equal with out and back swapped.
    """
    half = (slots - 1) // 2
    if degree > half:
        raise MisuseError(f"{degree} offsets per epoch are more than the {half} that exist")
    forward = 1 + np.random.default_rng((seed, slots)).permutation(half)
    turns = np.concatenate((forward, slots - forward))
    return turns[(epoch * degree + np.arange(degree)) % len(turns)].astype(np.int64)
