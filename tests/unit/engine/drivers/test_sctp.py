"""SCTP where the kernel has none is not measured, and says so; it is never a closed port."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.engine.drivers.sctp import NO_KERNEL, ask_sctp, has_sctp
from netprobe.model.verdict import PortVerdict, Transport, Verdict


def test_a_kernel_without_sctp_measures_nothing(tmp_path: Path) -> None:
    told = ask_sctp([("127.0.0.1", 9), ("127.0.0.1", 10)], proc=tmp_path / "sctp")
    assert told == [
        PortVerdict("127.0.0.1", Transport.SCTP, port, Verdict.UNKNOWN, reason=NO_KERNEL) for port in (9, 10)
    ]


def test_nothing_asked_is_nothing_said(tmp_path: Path) -> None:
    assert ask_sctp([], proc=tmp_path) == []


@pytest.mark.skipif(not has_sctp(), reason="this kernel has no SCTP")
def test_a_port_where_nobody_listens_is_closed() -> None:
    (told,) = ask_sctp([("127.0.0.1", 9)])
    assert told.verdict is Verdict.CLOSED
