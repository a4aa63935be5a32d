"""Which packet sizes pass in each direction: what ``pmtu`` knows, what it tries next, and how it is reported.

Rule: pure. A size is that of the whole IP packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is known. ``*_passes`` are the largest sizes known to pass, ``*_fails`` the least known not to."""

    smallest: int
    """The size of the control packet."""
    base: int
    """Tried first between the smallest and the largest."""
    largest: int
    """The largest size that is tried."""
    out_passes: int
    out_fails: int
    back_passes: int
    back_fails: int
    reported: tuple[int, str] | None = None
    """The last MTU that a router reported to us, and which router."""
    reported_back: int | None = None
    """The last one that a router reported to the responder."""
    own_limit: int | None = None
    """The least size that our own host did not let out."""

    @classmethod
    def unknown(cls, *, smallest: int, base: int, largest: int) -> Sizes:
        """Before anything was sent."""
        return cls(smallest, base, largest, 0, largest + 1, 0, largest + 1)

    def pass_both(self, size: int) -> Sizes:
        """A request of *size* was answered."""
        out, back = max(self.out_passes, size), max(self.back_passes, size)
        return replace(self, out_passes=out, back_passes=back)

    def fail_out(self, size: int) -> Sizes:
        """A request of *size* did not arrive."""
        return replace(self, out_fails=min(self.out_fails, size))

    def fail_back(self, size: int) -> Sizes:
        """A request of *size* arrived, and its answer did not."""
        return replace(self, back_fails=min(self.back_fails, size), out_passes=max(self.out_passes, size))

    def hear_back(self, mtu: int) -> Sizes:
        """The responder was told *mtu* about its answers; 0 for nothing."""
        if not 0 < mtu < self.back_fails:
            return self
        return replace(self, reported_back=mtu, back_fails=mtu + 1)

    @property
    def is_own_limit(self) -> bool:
        """Whether our own host, not the network, keeps larger packets back."""
        return self.own_limit is not None and self.out_passes == self.own_limit - 1

    @property
    def is_blackhole_out(self) -> bool:
        """Whether larger packets vanish on the way out and no router reports it."""
        is_limited = self.out_passes < self.out_fails - 1 or self.out_passes < self.largest
        is_reported = self.reported is not None and self.reported[0] == self.out_passes
        return is_limited and not is_reported and not self.is_own_limit

    @property
    def is_reduced_back(self) -> bool:
        """Whether a router on the way back reported to the responder just what passes."""
        return self.reported_back is not None and self.reported_back == self.back_passes < self.out_passes

    @property
    def is_blackhole_back(self) -> bool:
        """Whether what arrived larger did not come back, and no router reported it to the responder."""
        return self.back_passes < self.out_passes and not self.is_reduced_back


def choose_size(sizes: Sizes) -> int | None:
    """The next size to try, or None where both directions are known to the byte.

    The largest size comes first (most paths are sound), then the base, then halves; the way back is searched
    below what arrives.
    """
    if sizes.out_passes == sizes.smallest and sizes.out_fails == sizes.largest + 1:
        return sizes.largest
    if sizes.reported and sizes.out_passes < sizes.reported[0] == sizes.out_fails - 1:
        return sizes.reported[0]
    back = sizes.reported_back
    if back and sizes.back_passes < back == sizes.back_fails - 1 < sizes.out_passes:
        return back
    for passes, fails in (
        (sizes.out_passes, sizes.out_fails),
        (sizes.back_passes, min(sizes.back_fails, sizes.out_passes + 1)),
    ):
        if fails - passes > 1:
            return sizes.base if passes < sizes.base < fails else (passes + fails) // 2
    return None


def format_sizes(sizes: Sizes) -> Iterator[tuple[str, str]]:
    """Each direction as a line of facts, in the words ``ok``, ``reduced`` and ``blackhole``."""
    out, back = sizes.out_passes, sizes.back_passes
    if sizes.is_blackhole_out:
        yield "forward", f"blackhole: {out} bytes pass, larger ones vanish without an error"
    elif sizes.reported is not None:
        yield "forward", f"reduced: {out} bytes pass, as {sizes.reported[1]} says; path MTU discovery works"
    elif sizes.is_own_limit:
        yield "forward", f"ok: {out} bytes pass, all that this host's own interface lets out"
    else:
        yield "forward", f"ok: {out} bytes pass, the largest tried"
    if sizes.is_blackhole_back:
        yield "back", f"blackhole: {back} bytes pass, larger ones arrive there and do not come back"
    elif sizes.is_reduced_back:
        yield "back", f"reduced: {back} bytes pass, as a router tells the far end; path MTU discovery works"
    else:
        yield "back", f"ok: {back} bytes pass, as many as arrive there"


def complain(sizes: Sizes) -> str:
    """Where larger packets vanish; empty where they do in neither direction."""
    parts = []
    if sizes.is_blackhole_out:
        parts.append(f"blackhole forward above {sizes.out_passes} bytes")
    if sizes.is_blackhole_back:
        parts.append(f"blackhole back above {sizes.back_passes} bytes")
    return ", ".join(parts)
