"""A bounded queue that takes turns between those who put something in.

Rule: a key that puts in much fills only its own part, and every key waits for one item of each other key.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """At most *most* items, and *most_per_key* of one key."""

    def __init__(self, *, most: int, most_per_key: int) -> None:
        self._most, self._most_per_key = most, most_per_key
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._count = 0
        self._arrived = asyncio.Event()

    def put(self, key: str, item: T) -> bool:
        """Whether there was room for *item*."""
        own = self._waiting.get(key)
        if self._count >= self._most or (own is not None and len(own) >= self._most_per_key):
            return False
        self._waiting.setdefault(key, deque()).append(item)
        self._count += 1
        self._arrived.set()
        return True

    async def get(self) -> T:
        """The next item, of the key whose turn it is."""
        while not self._count:
            self._arrived.clear()
            await self._arrived.wait()
        key, own = self._waiting.popitem(last=False)
        item = own.popleft()
        self._count -= 1
        if own:
            self._waiting[key] = own
        return item
