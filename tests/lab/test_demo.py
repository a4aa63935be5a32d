"""The demo ends clean, also when the user interrupts it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netprobe.lab.client import take_down
from netprobe.lab.state_folder import find_state

pytestmark = [
    pytest.mark.slow,  # whole demonstrations start
    pytest.mark.lab,
    pytest.mark.timeout(120),
]


def processes_of(name: str) -> list[str]:
    """Command lines of everything that runs for the lab *name*."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"/{name}" in line or f"--name {name}" in line:
            lines.append(line)
    return lines


def mounts() -> list[str]:
    """What is mounted here; what builders of images mount beside us is none of a lab's kinds."""
    return [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - overlay " not in line
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_an_ended_demo_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    before = mounts()
    with subprocess.Popen(
        [sys.executable, "-m", "netprobe", "demo", "--output", str(tmp_path / "demo")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        name = f"demo-{process.pid}"
        assert process.stdout is not None
        for line in process.stdout:
            if "the lab is up" in line:
                break
        assert processes_of(name), "the lab ran"
        process.send_signal(number)
        process.stdout.read()
        process.wait()
    assert process.returncode != 0
    for _ in range(100):
        left = processes_of(name)
        if not left:
            break
        signal.sigtimedwait([], 0.1)
    assert not left
    if number is not signal.SIGKILL:  # after that, only the kernel can clean up
        assert not find_state(name).root.exists()
    take_down(name)
    assert mounts() == before
