"""The unit that an installation writes, judged by systemd itself: it loads, and it is confined."""

from __future__ import annotations

import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

SCRIPT = resources.files("netprobe.deploy.hosts").joinpath("agent_host.sh").read_text()
BUS = "tls://[fe80::1%eth0]:4222"
MOST_EXPOSED = 20
"""Tenths of what ``systemd-analyze security`` counts: 0 is a sealed box, 96 a unit without any limit."""

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    facts = f"home=/var/lib/netprobe-agent agent=west/gw/host bus='{BUS}' port=9771 at=127.0.0.1:14222"
    whole = f"{SCRIPT}\n{facts}\nwrite_unit"
    told = subprocess.run(["sh", "-c", whole, "netprobe", "nothing"], capture_output=True, check=True)
    path = tmp_path / "netprobe-agent.service"
    path.write_bytes(told.stdout)
    return path


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, words)], capture_output=True, text=True, timeout=60, check=False
    )


def complaints(unit: Path) -> list[str]:
    """What systemd says of our unit; it also speaks of units of this machine that ours is ordered after."""
    done = analyze("verify", "--man=no", unit)
    return [line for line in done.stderr.splitlines() if unit.name in line]


def test_systemd_has_nothing_to_complain_about(unit: Path) -> None:
    assert complaints(unit) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("ProtectSystem=strict", "ProtectSystem=strictest"),
        ("%%eth0", "%eth0"),
        ("/usr/bin/env", "/usr/bin/no-such-program"),
    ],
)
def test_a_wrong_unit_would_be_seen(unit: Path, good: str, bad: str) -> None:
    text = unit.read_text()
    assert good in text
    unit.write_text(text.replace(good, bad))
    assert complaints(unit) != []


def test_the_agent_is_confined(unit: Path) -> None:
    if "--offline" not in analyze("--help").stdout:
        pytest.skip("this systemd-analyze judges no unit files (needs systemd 250)")
    judge = ("security", "--no-pager", "--offline=yes", f"--threshold={MOST_EXPOSED}", unit)
    done = analyze(*judge)
    assert done.returncode == 0, done.stdout
    unit.write_text(unit.read_text().replace("SystemCallFilter=", "#"))
    assert analyze(*judge).returncode != 0, "without one of its limits it is over the threshold"
