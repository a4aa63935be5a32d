"""Drives ``trace`` and ``firewalk``: the sockets of their flows, and a timer."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.flows_icmp import IcmpFlows
from netprobe.engine.drivers.flows_tcp import TcpFlows
from netprobe.engine.drivers.flows_udp import (
    Flows,
    Heard,
    Ports,
    UdpFlows,
)
from netprobe.engine.drivers.readable import ReadableSocket
from netprobe.engine.keyring import Keyring
from netprobe.model.check import Check
from netprobe.model.outcome import Outcome
from netprobe.probes import firewalk, hops, trace
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke
from netprobe.probes.observation import Observation

S = TypeVar("S")
Step = Callable[[S, trace.Event], tuple[S, tuple[trace.Command, ...]]]


async def trace_route(check: Check, clock: Clock, keys: Keyring, rng: random.Random) -> Observation:
    """Trace the route; every failure is an outcome."""
    port = check.probe.port or trace.DEFAULT_UDP_PORT
    transport = check.probe.option("transport", "udp")
    with ReadableSocket() as readable:
        flows = _open(check, transport, lambda _: port, readable, clock, keys=keys, boot=rng.getrandbits(32))
        return await _Walk(trace.begin(check.probe), trace.step, flows, clock).run(readable)


async def walk_firewall(check: Check, clock: Clock, keys: Keyring, rng: random.Random) -> Observation:
    """Firewalk the port; every failure is an outcome."""
    ports = firewalk.ports_of(check.probe)
    transport = check.probe.option("transport", "tcp")
    with ReadableSocket() as readable:
        boot = rng.getrandbits(32)
        flows = _open(check, transport, ports.__getitem__, readable, clock, keys=keys, boot=boot)
        return await _Walk(firewalk.begin(check.probe), firewalk.step, flows, clock).run(readable)


async def walk_port(
    check: Check,
    spec: firewalk.FirewalkSpec,
    control: str,
    clock: Clock,
    *,
    keys: Keyring,
    rng: random.Random,
) -> firewalk.Firewalk:
    """Firewalk the port of *spec* at the target of *check*; the control probe is of the transport *control*.

    Returns where the walk ended. It needs no privilege but that of the control probe.
    """
    with ReadableSocket() as readable:

        def open_flow(transport: str, port: int) -> Flows:
            boot = rng.getrandbits(32)
            return _open(check, transport, lambda _: port, readable, clock, keys=keys, boot=boot)

        suspect, beside = open_flow(spec.transport, spec.port), open_flow(control, spec.control)
        flows = _FlowPair({firewalk.SUSPECT: suspect, firewalk.CONTROL: beside})
        walk = _Walk(firewalk.Firewalk(spec), firewalk.step, flows, clock)
        await walk.run(readable)
        return walk.state


class _FlowPair:
    """Flows of different transports, by number."""

    def __init__(self, flows: Mapping[int, Flows]) -> None:
        self._flows = flows

    def send(self, flow: int, ttl: int) -> Outcome | None:
        return self._flows[flow].send(flow, ttl)

    def read(self) -> Iterable[Heard]:
        return itertools.chain.from_iterable(flows.read() for flows in self._flows.values())


def _open(
    check: Check,
    transport: str,
    ports: Ports,
    readable: ReadableSocket,
    clock: Clock,
    *,
    keys: Keyring,
    boot: int,
) -> Flows:
    if transport == "tcp":
        return TcpFlows(check, ports, readable, clock)
    if transport == "icmp":
        return IcmpFlows(check, readable, clock, key=keys.own, boot=boot)
    return UdpFlows(check, ports, readable, clock, seal=keys.seal_for(check), boot=boot)


class _Walk(Generic[S]):
    """One machine of ``trace`` or ``firewalk``, driven to its end."""

    def __init__(self, state: S, step: Step[S], flows: Flows, clock: Clock) -> None:
        self.state, self._step, self._flows, self._clock = state, step, flows, clock
        self._wake_ns = 0
        self._seen: Observation | None = None

    async def run(self, readable: ReadableSocket) -> Observation:
        """Walk to the end."""
        self._feed(ProbeStarted(self._clock.mono_ns()))
        while self._seen is None:
            await readable.wait(until_ns=self._wake_ns)
            for event in list(self._flows.read()):
                self._feed(event)
            self._feed(Woke(self._clock.mono_ns()))
        return self._seen

    def _feed(self, event: trace.Event) -> None:
        """Give the machine an event and carry out its commands."""
        self.state, commands = self._step(self.state, event)
        failed: list[trace.Event] = []
        for command in commands:
            match command:
                case trace.SendPacket(flow, ttl):
                    trouble = self._flows.send(flow, ttl)
                    if trouble is not None:
                        failed.append(hops.Ended(flow, ttl, trouble, self._clock.mono_ns()))
                case WakeAt(at_ns):
                    self._wake_ns = at_ns
                case Finish(seen):
                    self._seen = seen
        for event_ in failed:
            self._feed(event_)
