"""Packets that an agent saw while it asked: what it sent and heard, as they passed its own network."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.prose import NO_PROSE, Prose


@dataclass(frozen=True, slots=True)
class RecordedPacket:
    """One packet."""

    wall_ns: int
    """By the clock of the agent's host."""
    size: int
    """Bytes of the whole packet."""
    data: bytes
    """From the IP header on, as far as it was kept."""


@dataclass(frozen=True, slots=True)
class PacketRecording:
    """The packets of one question."""

    packets: tuple[RecordedPacket, ...] = ()
    missed: int = 0
    """Further packets, for which there was no room."""
    refused: Prose = NO_PROSE
    """Why nothing could be recorded; empty where it could."""
