"""``python -m netprobe collector``: what is wrong is one line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

INVENTORY = "clusters:\n  - {name: prod, nodes: [{name: w1, host_addresses: [192.0.2.1]}]}\n"


def run(directory: Path, *more: str) -> subprocess.CompletedProcess[str]:
    (directory / "inventory.yaml").write_text(INVENTORY)
    (directory / "keys.json").write_text('{"agents": {}}')
    options = {
        "--inventory": str(directory / "inventory.yaml"),
        "--data": str(directory / "data"),
        "--keys": str(directory / "keys.json"),
        "--listen": "127.0.0.1:0",
    } | dict(zip(more[::2], more[1::2], strict=True))
    words = [word for pair in options.items() for word in pair]
    return subprocess.run(
        [sys.executable, "-m", "netprobe", "collector", *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        pytest.param("--inventory", "nowhere.yaml", "nowhere.yaml: cannot be read", id="no inventory"),
        pytest.param("--keys", "nowhere.json", "nowhere.json: cannot be read", id="no keys"),
        pytest.param("--listen", "nowhere", "'nowhere' is not HOST:PORT", id="no address"),
        pytest.param("--bus-addresses", "bus", "--bus-addresses: 'bus' does not", id="no address of its own"),
        pytest.param("--bus-addresses", "10.0.0.7", "--bus-addresses: agents need a port", id="no port"),
        pytest.param("--data", "/proc/none", "/proc/none: cannot be used", id="no directory"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path: Path, option: str, value: str, said: str) -> None:
    done = run(tmp_path, option, value)
    assert done.returncode == 2
    assert done.stderr.startswith(f"netprobe: {said}")
    assert done.stderr.count("\n") == 1
