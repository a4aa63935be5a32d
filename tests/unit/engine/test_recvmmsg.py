"""Packets by the hundred: what the kernel says of each is what it says when they are read one by one."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from netprobe.engine.recvmmsg import CAPACITY, HEAD_BYTES, BatchReceiver
from netprobe.engine.sockets import SO_TIMESTAMPNS, is_empty, open_udp, prepare, receive, receive_errors

FAMILIES = pytest.mark.parametrize(
    ("family", "address"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", id="v4"),
        pytest.param(socket.AF_INET6, "::1", id="v6"),
    ],
)


@contextmanager
def a_pair(
    family: socket.AddressFamily, address: str, *, details: bool
) -> Iterator[tuple[socket.socket, ...]]:
    with open_udp(family, details=details) as reading, socket.socket(family, socket.SOCK_DGRAM) as sending:
        prepare(reading, errors=True)
        sending.connect((address, reading.getsockname()[1]))
        yield reading, sending


@FAMILIES
@pytest.mark.parametrize("details", [True, False])
@pytest.mark.parametrize("size", [1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, 1_400])
def test_a_packet_is_what_it_is_when_read_alone(
    family: socket.AddressFamily, address: str, details: bool, size: int
) -> None:
    inbox = BatchReceiver(family, details=details)
    with a_pair(family, address, details=details) as (reading, sending):
        data = bytes(number % 251 for number in range(size))
        for _ in range(2):
            sending.send(data)
        (alone,) = receive(reading, at_most=1)
        (packet,) = inbox.receive(reading)
        assert (packet.head[:size], packet.size) == (data[:HEAD_BYTES], size)
        assert packet.sender == (alone.source, alone.source_port) == sending.getsockname()[:2]
        assert (packet.local_address, packet.ttl) == (alone.local_address, alone.ttl)
        assert packet.local_address == (ipaddress.ip_address(address).packed if details else b"")
        assert alone.received_ns is not None
        assert alone.received_ns <= packet.received_ns <= time.time_ns()
        assert inbox.receive(reading) == []


@FAMILIES
def test_what_the_kernel_said_of_another_packet_counts_for_none(
    family: socket.AddressFamily, address: str
) -> None:
    inbox = BatchReceiver(family, details=True)
    with a_pair(family, address, details=True) as (reading, sending):
        sending.send(b"with everything")
        assert inbox.receive(reading)[0].received_ns
        reading.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 0)
        sending.send(b"without a time stamp")
        (packet,) = inbox.receive(reading)
        assert (packet.received_ns, packet.local_address, packet.ttl) == (0, b"", 0)


def test_hundreds_take_a_few_system_calls() -> None:
    inbox = BatchReceiver(socket.AF_INET, details=False)
    counts: list[int] = []
    receive_batch = inbox._receive

    def counted(*arguments: object) -> int:
        counts.append(receive_batch(*arguments))
        return counts[-1]

    inbox._receive = counted
    with a_pair(socket.AF_INET, "127.0.0.1", details=False) as (reading, sending):
        for number in range(2 * CAPACITY + 1):
            sending.send(number.to_bytes(2, "big"))
        packets = inbox.receive(reading)
    numbers = [int.from_bytes(packet.head[:2], "big") for packet in packets]
    assert numbers == list(range(2 * CAPACITY + 1))
    assert counts == [CAPACITY, CAPACITY, 1]


def test_an_error_told_by_the_socket_hides_no_packet() -> None:
    with a_pair(socket.AF_INET, "127.0.0.1", details=False) as (reading, sending):
        reading.sendto(b"no process listens there", ("127.0.0.1", 1))  # answered by an ICMP error at once
        sending.send(b"here")
        assert [
            packet.head[:4] for packet in BatchReceiver(socket.AF_INET, details=False).receive(reading)
        ] == [b"here"]


@FAMILIES
def test_neither_a_packet_nor_an_error_is_passed_over(family: socket.AddressFamily, address: str) -> None:
    with a_pair(family, address, details=False) as (reading, sending):
        assert is_empty(reading)
        sending.send(b"here")
        assert not is_empty(reading)
        assert len(BatchReceiver(family, details=False).receive(reading)) == 1
        reading.sendto(b"no process listens there", (address, 1))  # answered by an ICMP error at once
        assert not is_empty(reading)
        assert len(list(receive_errors(reading))) == 1
        assert is_empty(reading)
