"""``python -m netprobe collector``: what is wrong is one line and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from netprobe.cli.main import cli
from netprobe.errors import NetprobeError

INVENTORY = "clusters:\n  - {name: prod, nodes: [{name: w1, host_addresses: [192.0.2.1]}]}\n"


def words(directory: Path, *more: str) -> list[str]:
    (directory / "inventory.yaml").write_text(INVENTORY)
    (directory / "keys.json").write_text('{"agents": {}}')
    options = {
        "--inventory": str(directory / "inventory.yaml"),
        "--data": str(directory / "data"),
        "--keys": str(directory / "keys.json"),
        "--listen": "127.0.0.1:0",
    } | dict(zip(more[::2], more[1::2], strict=True))
    return ["collector", *(word for pair in options.items() for word in pair)]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        pytest.param("--inventory", "nowhere.yaml", "nowhere.yaml: cannot be read", id="no inventory"),
        pytest.param("--keys", "nowhere.json", "nowhere.json: cannot be read", id="no keys"),
        pytest.param("--listen", "nowhere", "'nowhere' is not HOST:PORT", id="no address"),
        pytest.param("--listen", "0.0.0.0:4222", "--listen: 0.0.0.0:4222 is plain text beyond", id="no TLS"),
        pytest.param("--bus-addresses", "bus", "--bus-addresses: 'bus' does not", id="no address of its own"),
        pytest.param("--bus-addresses", "10.0.0.7", "--bus-addresses: agents need a port", id="no port"),
        pytest.param("--data", "/proc/none", "/proc/none: cannot be used", id="no directory"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path: Path, option: str, value: str, said: str) -> None:
    done = CliRunner().invoke(cli, words(tmp_path, option, value))
    assert isinstance(done.exception, NetprobeError)
    assert str(done.exception).startswith(said)
    assert "\n" not in str(done.exception)


def test_the_program_says_it_on_stderr_and_exits_with_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "netprobe", *words(tmp_path, "--listen", "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("netprobe: 'nowhere' is not HOST:PORT")
    assert done.stderr.count("\n") == 1
