"""How often an agent wakes, counted: by its beat, not by its packets; and at once for those who wait."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from netprobe.engine.clock import Clock
from netprobe.engine.engine import Engine
from netprobe.engine.keyring import Keyring
from netprobe.engine.responder.identity_http import IdentityServer
from netprobe.engine.responder.reflector import Reflector
from netprobe.engine.responder.server import Responder
from netprobe.engine.schedule import tick_of
from netprobe.model.check import Plan, Probe
from netprobe.model.window import Measured
from netprobe.wire import stamp
from netprobe.wire.identity import Identity
from tests.unit.probes.questions import PEER, make_check

KEY = b"a key for one test".ljust(32)
INTERVAL_NS = 1_000_000_000
CHECKS = 100
OTHER_WAKES = 3
"""In an interval: for its start, for its end, and for what asyncio itself does."""


class CountingSelector(selectors.DefaultSelector):
    """Counts how often the event loop went to sleep and woke again."""

    wakes = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.wakes += timeout != 0
        return super().select(timeout)


async def measure(selector: CountingSelector) -> tuple[Measured, int]:
    """One interval in which an agent asks itself a hundred times, and how often it woke in that time."""
    got: list[tuple[Measured, int]] = []
    async with Engine(PEER, boot="one", port=0) as engine:
        probe = Probe("udp", port=engine.port, timeout_ns=INTERVAL_NS)
        checks = tuple(
            replace(make_check(probe, address=f"127.0.1.{last}"), count=1) for last in range(1, CHECKS + 1)
        )
        plan = Plan(PEER, 1, tuple(replace(check, source=PEER) for check in checks), INTERVAL_NS, KEY)
        engine.use(plan)
        await engine.run(lambda measured: got.append((measured, selector.wakes)), intervals=3)
    (_, before), _, (last, after) = got
    return last, (after - before) // 2


def test_an_agent_wakes_by_its_beat_and_not_by_its_packets() -> None:
    selector = CountingSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        measured, wakes = runner.run(measure(selector))
    assert sum(window.sent for window in measured.windows) == CHECKS
    beats = INTERVAL_NS // tick_of(INTERVAL_NS, probes=CHECKS)
    assert 2 <= wakes <= beats + OTHER_WAKES < CHECKS // 2


@contextmanager
def an_asker() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        yield asking


def a_responder() -> Responder:
    keys = Keyring(PEER)
    keys.use(Plan(PEER, 1, (), INTERVAL_NS, KEY))
    return Responder(
        IdentityServer(Identity(str(PEER), "b00t"), keys),
        keys,
        Clock(),
        0,
        Reflector(str(PEER), nonce=keys.nonce, started_s=0),
    )


def request(sequence: int, *, is_urgent: bool, key: bytes = KEY) -> bytes:
    return stamp.encode_request(stamp.Request(7, 1, sequence, 1, sequence, is_urgent), key=key)


async def answered(asking: socket.socket) -> int:
    data = await asyncio.get_running_loop().sock_recv(asking, 2_048)
    return stamp.decode_answer(data, key=KEY).sequence


async def test_who_waits_is_answered_at_once_and_who_does_not_on_the_beat() -> None:
    """Only the test makes the beat: without it, only the urgent request can be answered."""
    responder = a_responder()
    await responder.open()
    try:
        with an_asker() as asking:
            asking.connect(("127.0.0.1", responder.port))
            for number in (1, 2):
                asking.send(request(number, is_urgent=False))
            asking.send(request(3, is_urgent=True))
            assert await answered(asking) == 3
            responder.answer_gathered()
            assert [await answered(asking), await answered(asking)] == [1, 2]
    finally:
        await responder.close()


async def test_a_stranger_who_pretends_to_wait_wakes_the_responder_once_per_beat() -> None:
    responder = a_responder()
    await responder.open()
    try:
        with an_asker() as asking:
            asking.connect(("127.0.0.1", responder.port))
            asking.send(request(1, is_urgent=True, key=b"another fleet's"))
            while not responder.strangers:  # noqa: ASYNC110 - no event announces a stranger
                await asyncio.sleep(0)
            for _ in range(5):
                asking.send(request(1, is_urgent=True, key=b"another fleet's"))
            for _ in range(20):
                await asyncio.sleep(0)
            assert responder.strangers == 1
            responder.answer_gathered()
            assert responder.strangers == 6
            asking.send(request(1, is_urgent=True))  # and who may ask is heard again
            assert await answered(asking) == 1
    finally:
        await responder.close()


async def test_a_port_that_somebody_shares_is_taken() -> None:
    """Two agents on one port would take each other's requests."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("0.0.0.0", 0))
        responder = replace(a_responder(), port=other.getsockname()[1])
        await responder.open()  # IPv6 is left
        try:
            assert all(sock.family == socket.AF_INET6 for sock in responder._gathering)
        finally:
            await responder.close()
