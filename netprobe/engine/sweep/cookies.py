"""Cookies of each round, and lookup of the question of an answer. Pure.

Rule: an answer counts if it repeats the cookie of a question of the last :data:`KEPT_ROUNDS` rounds. An index
in a packet is only a hint for the lookup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netprobe.errors import MisuseError
from netprobe.wire.batch import U16, U32, U64, Flags, Indices, Rows, address_words, keyed_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from netprobe.engine.sweep.targets import SweepTargets

KEPT_ROUNDS = 8
"""Number of rounds whose late answers are recognised."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""2**64 / golden ratio, odd, which spreads nearby addresses (Knuth, vol. 3, section 6.4)."""


class CookieTable:
    """The questions of one protocol handler."""

    def __init__(self, questions: SweepTargets, *, key: bytes) -> None:
        if len(key) != 16:
            raise MisuseError(f"a cookie key has 16 bytes, not {len(key)}")
        self._key = key
        self._high, self._low = address_words(questions.addresses)
        self._ports = questions.ports
        keys = self._keys(self._high, self._low, self._ports)
        self._by_key = np.argsort(keys, kind="stable")
        self._sorted = keys[self._by_key]
        starts = np.nonzero(np.diff(self._sorted, prepend=~self._sorted[:1]))[0]
        self._repeats = int(np.diff(starts, append=len(keys)).max(initial=0))
        self._cookies: dict[int, U64] = {}

    def open_round(self, number: int, asked: Indices | None = None) -> U64:
        """Make the cookies of a round, for the rows *asked* or all, and forget those of the oldest round.

        Rows that are not asked have cookie 0; the caller has to know that they were not asked.
        """
        if asked is None:
            cookies = keyed_words(self._key, number, len(self._ports))
        else:
            cookies = np.zeros(len(self._ports), dtype=np.uint64)
            cookies[asked] = keyed_words(self._key, number, len(asked))
        self._cookies[number] = cookies
        self._cookies.pop(number - KEPT_ROUNDS, None)
        return cookies

    @property
    def newest(self) -> int:
        """The round opened last; -1 before the first."""
        return max(self._cookies, default=-1)

    def newest_round(self, residue: U16 | U32, *, modulus: int) -> Indices:
        """The newest kept round whose number is *residue* modulo *modulus*; -1 if there is none."""
        numbers = np.array(list(self._cookies), dtype=np.int64)
        fits = residue[:, None] == numbers % modulus
        newest: Indices = np.where(fits, numbers, -1).max(axis=1, initial=-1)
        return newest

    def cookies_of(self, rows: Indices, rounds: Indices) -> tuple[U64, Flags]:
        """The cookie of each row in each round, and whether that row and round exist."""
        cookies = np.zeros(len(rows), dtype=np.uint64)
        known = np.zeros(len(rows), dtype=np.bool_)
        inside = (rows >= 0) & (rows < len(self._ports))
        for number, of_round in reversed(self._cookies.items()):  # most answers are to the newest round
            here = inside & (rounds == number)
            if here.all():
                return of_round[rows], here
            cookies[here] = of_round[rows[here]]
            known |= here
        return cookies, known

    def find(self, addresses: Rows, ports: U16, fits: Callable[[Indices, Indices], Flags]) -> Indices:
        """The row that asked *addresses* at *ports* and for which *fits(positions, rows)* is true; else -1.

        Several questions may go to one address and port; *fits* (usually the cookie) selects one.
        """
        found = np.full(len(addresses), -1, dtype=np.int64)
        if not len(self._sorted):
            return found
        high, low = address_words(addresses)
        keys = self._keys(high, low, ports)
        first = np.searchsorted(self._sorted, keys)
        for repeat in range(self._repeats):
            at = np.minimum(first + repeat, len(self._sorted) - 1)
            rows = self._by_key[at]
            same = (self._high[rows] == high) & (self._low[rows] == low) & (self._ports[rows] == ports)
            positions = np.nonzero(same & (found < 0))[0]
            right = positions[fits(positions, rows[positions])]
            found[right] = rows[right]
        return found

    @staticmethod
    def _keys(high: U64, low: U64, ports: U16) -> U64:
        return np.asarray((high * _MIX ^ low) * _MIX ^ (ports.astype(np.uint64) << np.uint64(48)))
