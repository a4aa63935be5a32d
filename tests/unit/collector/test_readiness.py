"""Ready only while the bus is served; the file goes with the collector."""

from __future__ import annotations

import json
from pathlib import Path

from netprobe.collector.readiness import Readiness


def test_ready_between_announce_and_suspend(tmp_path: Path) -> None:
    readiness = Readiness(tmp_path / "ready")
    assert readiness.why_not() == "the bus is not served yet"
    readiness.announce("nats://127.0.0.1:4222", "http://127.0.0.1:9100")
    assert readiness.why_not() == ""
    assert json.loads((tmp_path / "ready").read_text())["http"] == "http://127.0.0.1:9100"
    readiness.suspend()
    assert readiness.why_not() != ""
    assert (tmp_path / "ready").exists()
    readiness.withdraw()
    assert not (tmp_path / "ready").exists()
