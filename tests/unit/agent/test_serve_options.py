"""``netprobe-agent serve``: an address of the bus that it may not use is one line, before it listens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netprobe.bus.keys import new_user, write_seed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--bus", "nats://hub:4222"),
            "nats://hub:4222 would be plain text beyond this machine: use tls://hub",
        ),
        (
            ("--bus", "ws://10.0.0.1:80"),
            "ws://10.0.0.1:80 would be plain text beyond this machine: use wss://",
        ),
        (("--bus", "nats://127.0.0.1:1", "--bus-at", "10.0.0.1:1"), "nats://127.0.0.1:1 would be plain text"),
        (("--bus", "tls://hub:1", "--bus-at", "hub:1"), "--bus-at: 'hub:1' is not IP:PORT"),
        (("--bus", "tls://hub:1", "--bus-at", "127.0.0.1"), "--bus-at: '127.0.0.1' is not IP:PORT"),
    ],
)
def test_a_bus_that_it_may_not_use_is_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    seed = tmp_path / "seed"
    write_seed(seed, new_user()[0])
    rest = ["--agent", "prod/w1/host", "--seed", str(seed), "--spool", str(tmp_path / "spool"), "--port", "0"]
    command = [sys.executable, "-m", "netprobe_agent", "serve", *words, *rest]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("netprobe-agent: ")]
    assert line.startswith(f"netprobe-agent: {said}")
