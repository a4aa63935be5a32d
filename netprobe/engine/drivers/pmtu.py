"""Drives ``probes.pmtu``: one UDP socket with DF set, and its error queue."""

from __future__ import annotations

import errno
import random
import socket

from netprobe.engine.clock import Clock
from netprobe.engine.drivers.readable import ReadableSocket
from netprobe.engine.keyring import Keyring
from netprobe.engine.sockets import family_of, open_udp, prepare, receive, receive_errors, version_of
from netprobe.errors import RemoteFormatError
from netprobe.model.check import Check
from netprobe.model.outcome import NotMeasured, TooBig
from netprobe.model.prose import Prose
from netprobe.probes import pmtu
from netprobe.probes.conversation import Finish, ProbeStarted, WakeAt, Woke
from netprobe.probes.observation import Observation, is_from_target
from netprobe.probes.rejection import observe_send_error, outcome_of_icmp
from netprobe.wire import stamp

_UDP_HEADER_BYTES = 8


async def search_pmtu(check: Check, clock: Clock, keys: Keyring, rng: random.Random) -> Observation:
    """Search both directions; every failure is an outcome."""
    try:
        sock = open_udp(family_of(check.target.address))
        prepare(sock, errors=True)
    except OSError as error:
        return Observation(NotMeasured(Prose(f"no socket: {error.strerror}")))
    search = _PmtuSearch(check, clock, keys.seal_for(check), rng.getrandbits(32), sock)
    with ReadableSocket(sock) as readable:
        search.feed(ProbeStarted(clock.mono_ns()))
        while search.seen is None:
            await readable.wait(until_ns=search.wake_ns)
            search.read()
            search.feed(Woke(clock.mono_ns()))
    return search.seen


class _PmtuSearch:
    """One search under way."""

    def __init__(self, check: Check, clock: Clock, seal: stamp.Seal, boot: int, sock: socket.socket) -> None:
        self._check, self._clock, self._seal, self._boot, self._sock = check, clock, seal, boot, sock
        self._version = version_of(check.target.address)
        self._state: pmtu.PmtuSearch = pmtu.begin(check.probe, version=self._version)
        self.wake_ns = 0
        self.seen: Observation | None = None

    def feed(self, event: pmtu.Event) -> None:
        """Give the machine an event and carry out its commands."""
        self._state, commands = pmtu.step(self._state, event)
        failed: pmtu.Event | None = None
        for command in commands:
            match command:
                case pmtu.SendRequest(sequence, size):
                    failed = self._send(sequence, size)
                case WakeAt(at_ns):
                    self.wake_ns = at_ns
                case Finish(seen):
                    self.seen = seen
        if failed is not None:
            self.feed(failed)

    def read(self) -> None:
        """Read the answers and errors that arrived."""
        for datagram in receive(self._sock):
            if is_from_target(self._check, datagram.source):
                self._take(datagram.data)
        for report in receive_errors(self._sock):
            if (report.target, report.target_port) != (self._check.target.address, self._check.probe.port):
                continue
            now_ns = self._clock.mono_ns()
            outcome = outcome_of_icmp(report.error, self._check, rtt_ns=1)
            if isinstance(outcome, TooBig):
                self.feed(pmtu.PacketTooBig(outcome.mtu, outcome.sender, now_ns))
            else:
                self.feed(pmtu.RequestRejected(outcome, now_ns))

    def _take(self, data: bytes) -> None:
        try:
            answer = stamp.decode_answer(data, key=self._seal.key)
        except RemoteFormatError:
            return
        if (answer.check, answer.boot) == (self._check.id, self._boot):
            now_ns = self._clock.mono_ns()
            told = pmtu.RequestAnswered(
                answer.sequence, answer.received_count, now_ns, answer.answered_by, answer.told_mtu
            )
            self.feed(told)

    def _send(self, sequence: int, size: int) -> pmtu.Event | None:
        sent = stamp.ntp_of(self._clock.wall_ns())
        request = stamp.Request(self._check.id, self._boot, sequence, sent, sequence, True, self._seal.asker)
        payload = size - (40 if self._version == 6 else 20) - _UDP_HEADER_BYTES
        packet = stamp.encode_request(request, key=self._seal.key, size=payload)
        for _ in range(2):  # a pending ICMP error is reported by the next call: read it, then send
            try:
                self._sock.sendto(packet, (self._check.target.address, self._check.probe.port))
            except OSError as error:
                failed = error
                if error.errno == errno.EMSGSIZE:
                    break
            else:
                return None
        now_ns = self._clock.mono_ns()
        if failed.errno == errno.EMSGSIZE:
            return pmtu.LocalTooBig(sequence, now_ns)
        seen = observe_send_error(failed, self._check, version=self._version)
        return pmtu.RequestRejected(seen.outcome, now_ns)
