"""Two engines over loopback: the whole way from plan to windows, and what each heard."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from netprobe.engine.engine import Engine
from netprobe.errors import InputError
from netprobe.model.check import Check, Plan, Probe
from netprobe.model.outcome import AppFailed, OutcomeKind, Reached
from netprobe.model.prose import Prose
from netprobe.model.window import Measured, Window
from tests.facts import pairs
from tests.unit.probes.questions import ASKER, PEER, make_check

KEY = b"a key for one test".ljust(32)
INTERVAL_NS = 200_000_000
TIMEOUT_NS = 1_000_000_000
"""Longer than this process ever stands still."""


def make_plan(checks: tuple[Check, ...], *, epoch: int = 1) -> Plan:
    return Plan(ASKER, epoch, checks, INTERVAL_NS, KEY)


def udp_check(port: int, address: str = "127.0.0.1") -> Check:
    return make_check(Probe("udp", port=port, timeout_ns=TIMEOUT_NS), address=address)


async def test_what_one_counts_as_sent_the_other_has_heard() -> None:
    """Nothing is lost over loopback; with too much else to do, some intervals are not wholly measured."""
    windows: dict[int, Window] = {}
    heard: dict[int, int] = {}

    enough = asyncio.Event()

    def take(measured: Measured) -> None:
        windows[measured.start_ns] = measured.windows[0]

    def listen(measured: Measured) -> None:
        heard.update({row.start_ns: heard.get(row.start_ns, 0) + row.received for row in measured.heard})
        if len(find_whole()) >= 3:
            enough.set()

    def find_whole() -> list[int]:
        return [start for start, window in windows.items() if window.measured == 3 and start in heard]

    async with Engine(ASKER, boot="one", port=0) as asker, Engine(PEER, boot="two", port=0) as peer:
        asker.use(make_plan((udp_check(peer.port),)))
        peer.use(replace(make_plan(()), agent=PEER))
        running = [asyncio.create_task(asker.run(take)), asyncio.create_task(peer.run(listen))]
        async with asyncio.timeout(60):
            await enough.wait()
        for task in running:
            task.cancel()
        await asyncio.wait(running)
    assert all(windows[start].sent == heard[start] == windows[start].answered for start in find_whole())
    assert all(window.sent == 3 for window in windows.values())
    assert all(windows[start].answered <= heard[start] <= 3 for start in heard.keys() & windows.keys())
    assert all(start % INTERVAL_NS == 0 for start in windows)


async def test_gathered_requests_are_all_answered() -> None:
    """Most come in while the responder rests; none is lost, and each is counted in its own session."""
    async with Engine(ASKER, boot="one", port=0) as asker, Engine(PEER, boot="two", port=0) as peer:
        for engine, agent in ((asker, ASKER), (peer, PEER)):
            engine.use(replace(make_plan(()), agent=agent))
        checks = [udp_check(peer.port, f"127.0.0.{last}") for last in range(1, 9)]
        seen = await asyncio.gather(*(asker.ask(check) for check in checks))
    outcomes = [one.outcome for some in seen for one in some]
    assert len(outcomes) == 8 * 3
    assert all(isinstance(outcome, Reached) for outcome in outcomes)
    counters = [sorted(one.received_count or 0 for one in some) for some in seen]
    assert counters == [[1, 2, 3]] * 8


async def test_each_flow_keeps_a_source_port_of_its_own() -> None:
    """Routers that spread flows over several ways hash it: a flow keeps its way, another may take another."""
    ports: dict[str, set[int]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(30)
        async with Engine(ASKER, boot="one", port=0) as asker:
            asker.use(make_plan(()))
            for flow in ("", "1", "2", "64"):
                options = (("flow", flow),) if flow else ()
                probe = Probe("udp", port=listening.getsockname()[1], timeout_ns=1_000_000, options=options)
                await asker.ask(make_check(probe, address="127.0.0.1"))
                ports[flow] = {listening.recvfrom(2048)[1][1] for _ in range(3)}
            assert all(len(seen) == 1 for seen in ports.values())
            assert len(set.union(*ports.values())) == 4
            for wrong in ("65", "-1", "x", "²"):
                probe = Probe("udp", port=9, options=(("flow", wrong),))
                with pytest.raises(InputError, match=r"options\.flow"):
                    await asker.ask(make_check(probe, address="127.0.0.1"))


async def test_a_check_of_new_flows_has_a_fresh_source_port_each_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(30)
        async with Engine(ASKER, boot="one", port=0) as asker:
            asker.use(make_plan(()))
            port, options = listening.getsockname()[1], (("flow", "new"),)
            probe = Probe("udp", port=port, timeout_ns=1_000_000, options=options)
            await asker.ask(make_check(probe, address="127.0.0.1"))
            assert len({listening.recvfrom(2048)[1][1] for _ in range(3)}) == 3


async def test_new_flows_are_answered_and_counted_as_one_check() -> None:
    async with Engine(ASKER, boot="one", port=0) as asker, Engine(PEER, boot="two", port=0) as peer:
        for engine, agent in ((asker, ASKER), (peer, PEER)):
            engine.use(replace(make_plan(()), agent=agent))
        plain = udp_check(peer.port, "127.0.0.1")
        check = replace(plain, probe=replace(plain.probe, options=(("flow", "new"),)))
        seen = await asker.ask(check)
    assert all(isinstance(one.outcome, Reached) for one in seen)
    assert sorted(one.received_count or 0 for one in seen) == [1, 2, 3]
    assert len({one.observed_source for one in seen}) == 1


async def test_a_new_plan_begins_with_the_next_interval_and_tears_no_window() -> None:
    got: list[Measured] = []
    async with Engine(ASKER, boot="one", port=0) as engine:
        first = make_check(Probe("icmp", timeout_ns=50_000_000), address="127.0.0.1")
        second = make_check(Probe("icmp", timeout_ns=50_000_000), address="127.0.0.2")
        engine.use(make_plan((first,)))

        def deliver(measured: Measured) -> None:
            got.append(measured)
            if len(got) == 1:
                engine.use(make_plan((second,), epoch=2))

        await engine.run(deliver, intervals=4)
    checks = [[window.check for window in measured.windows] for measured in got]
    assert checks[0] == [first.id]
    assert checks[-1] == [second.id]
    assert all(window.sent == 3 for measured in got for window in measured.windows)


async def test_a_check_that_cannot_be_asked_is_not_measured_and_harms_nobody() -> None:
    got: list[Measured] = []
    async with Engine(ASKER, boot="one", port=0) as engine:
        good = udp_check(engine.port)
        bad = make_check(Probe("telepathy"), address="127.0.0.1")
        engine.use(make_plan((good, bad)))
        await engine.run(got.append, intervals=1)
    windows = {window.check: window for window in got[0].windows}
    assert windows[bad.id].measured == 0
    assert "unknown probe kind 'telepathy'" in str(windows[bad.id].detail)
    assert windows[good.id].measured == 3


async def test_a_plan_without_a_key_is_refused() -> None:
    async with Engine(ASKER, boot="one", port=0) as engine:
        with pytest.raises(InputError, match="target_keys: is empty"):
            engine.use(replace(make_plan((udp_check(9),)), cookie_key=b""))


async def test_one_question_on_demand() -> None:
    async with Engine(ASKER, boot="one", port=0) as asker, Engine(PEER, boot="two", port=0) as peer:
        for engine, agent in ((asker, ASKER), (peer, PEER)):
            engine.use(replace(make_plan(()), agent=agent))
        udp = await asker.ask(udp_check(peer.port))
        http = await asker.ask(make_check(Probe("http", port=peer.port), address="127.0.0.1", count=1))
        nobody = await asker.ask(make_check(Probe("tcp", port=1), address="127.0.0.1", count=2))
    assert [type(seen.outcome) for seen in udp] == [Reached] * 3
    assert http[0].answered_by == str(PEER)
    assert [seen.outcome.kind for seen in nobody] == [OutcomeKind.REFUSED] * 2


async def test_a_quiet_flow_is_held_for_a_peer_and_for_nobody_else() -> None:
    probe = Probe("idle", timeout_ns=20_000_000_000, options=(("gaps", "1,2"),))
    async with Engine(ASKER, boot="one", port=0) as asker, Engine(PEER, boot="two", port=0) as peer:
        check = make_check(replace(probe, port=peer.port), address="127.0.0.1", count=1)
        asker.use(make_plan(()))
        peer.use(replace(make_plan(()), agent=PEER, cookie_key=b"another fleet".ljust(32)))
        (turned_away,) = await asker.ask(check)
        peer.use(replace(make_plan(()), agent=PEER))
        (held,) = await asker.ask(check)
    assert turned_away.outcome == AppFailed(Prose("no agent there that holds a connection for us"))
    assert isinstance(held.outcome, Reached)
    assert pairs(held.facts) == (("1 s quiet", "lives"), ("2 s quiet", "lives"))
