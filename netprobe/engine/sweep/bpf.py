"""Classic BPF programs that pass only our answers to our sockets (bpf(4), Linux ``filter.rst``).

Programs are lists of instructions with labels; :func:`assemble` turns them into ``struct sock_filter``. A raw
IPv4 socket receives packets from the IP header on, a raw IPv6 socket from the transport header on.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from dataclasses import dataclass

from netprobe.errors import MisuseError
from netprobe.wire.batch_icmp import ECHO_REPLY, ECHO_REPLY_V6
from netprobe.wire.batch_quote import ERRORS_V4, ERRORS_V6

_LOAD_HEADER_LENGTH = 0xB1  # ldxb 4*([k]&0xf)
_LOAD_INDEX = 0x01  # ldx #k
_LOAD_BYTE = 0x50  # ldb [x+k]
_LOAD_HALF = 0x48  # ldh [x+k]
_JUMP_EQUAL = 0x15
_JUMP_GREATER = 0x25
_JUMP_GREATER_EQUAL = 0x35
_AND = 0x54
_JUMP_SET = 0x45
_RETURN = 0x06
_SO_ATTACH_FILTER = 26
_KEEP = 0xFFFF


@dataclass(frozen=True, slots=True)
class AnswerFilter:
    """Properties of answers to us: our echo identifier and our source ports."""

    identifier: int
    first_port: int = 0
    ports: int = 0
    """TCP source ports from *first_port* on."""
    udp_ports: tuple[int, int] = (0, 0)
    """UDP source ports; 0 for none."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; *yes* and *no* are labels to jump to, empty for the next instruction."""

    code: int
    value: int
    yes: str = ""
    no: str = ""
    label: str = ""


def assemble(steps: list[Instruction]) -> bytes:
    """Resolve the labels; jumps go forward only, as the kernel requires."""
    places = {step.label: index for index, step in enumerate(steps) if step.label}

    def distance(index: int, label: str) -> int:
        if not label:
            return 0
        ahead = places[label] - index - 1
        if not 0 <= ahead < 256:
            raise MisuseError(f"BPF: {label} is {ahead} steps ahead")
        return ahead

    return b"".join(
        struct.pack("=HBBI", step.code, distance(at, step.yes), distance(at, step.no), step.value)
        for at, step in enumerate(steps)
    )


def icmp_filter(marks: AnswerFilter, *, v6: bool) -> bytes:
    """Pass echo replies to our identifier, and errors that quote our packets."""
    inner = 8  # the quoted IP header follows the eight bytes of the error
    transport = inner + (40 if v6 else 20)
    icmp = socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP
    return assemble(
        [
            _begin(v6=v6),
            Instruction(_LOAD_BYTE, 0),
            Instruction(_JUMP_EQUAL, ECHO_REPLY_V6 if v6 else ECHO_REPLY, yes="reply"),
            *(Instruction(_JUMP_EQUAL, kind, yes="error") for kind in (ERRORS_V6 if v6 else ERRORS_V4)),
            Instruction(_RETURN, 0),
            Instruction(_LOAD_HALF, 4, label="reply"),
            Instruction(_JUMP_EQUAL, marks.identifier, yes="keep", no="drop"),
            Instruction(_LOAD_BYTE, inner + (6 if v6 else 9), label="error"),
            Instruction(_JUMP_EQUAL, icmp, yes="echo"),
            Instruction(_JUMP_EQUAL, socket.IPPROTO_UDP, yes="udp"),
            Instruction(_JUMP_EQUAL, socket.IPPROTO_TCP, yes="tcp", no="drop"),
            Instruction(_LOAD_HALF, transport + 4, label="echo"),
            Instruction(_JUMP_EQUAL, marks.identifier, yes="keep", no="drop"),
            Instruction(_LOAD_HALF, transport, label="udp"),
            *(Instruction(_JUMP_EQUAL, port, yes="keep") for port in marks.udp_ports if port),
            Instruction(_RETURN, 0),
            Instruction(_LOAD_HALF, transport, label="tcp"),
            *_in_range(marks),
            Instruction(_RETURN, _KEEP, label="keep"),
            Instruction(_RETURN, 0, label="drop"),
        ]
    )


def syn_filter(marks: AnswerFilter, *, v6: bool) -> bytes:
    """Pass SYN-ACK and RST to our source ports."""
    return assemble(
        [
            _begin(v6=v6),
            Instruction(_LOAD_BYTE, 13),
            Instruction(_JUMP_SET, 0x04, yes="ports"),
            Instruction(_AND, 0x12),
            Instruction(_JUMP_EQUAL, 0x12, yes="ports", no="drop"),
            Instruction(_LOAD_HALF, 2, label="ports"),
            *_in_range(marks),
            Instruction(_RETURN, _KEEP, label="keep"),
            Instruction(_RETURN, 0, label="drop"),
        ]
    )


def attach(opened: socket.socket, program: bytes) -> None:
    """Attach *program*, which the kernel runs on every packet before it queues it on this socket."""
    memory = ctypes.create_string_buffer(program, len(program))
    prog = struct.pack("@HP", len(program) // 8, ctypes.addressof(memory))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, prog)


def _begin(*, v6: bool) -> Instruction:
    return Instruction(_LOAD_INDEX, 0) if v6 else Instruction(_LOAD_HEADER_LENGTH, 0)


def _in_range(marks: AnswerFilter) -> tuple[Instruction, Instruction]:
    last = marks.first_port + marks.ports - 1
    return (
        Instruction(_JUMP_GREATER_EQUAL, marks.first_port, no="drop"),
        Instruction(_JUMP_GREATER, max(0, last), yes="drop", no="keep"),
    )
