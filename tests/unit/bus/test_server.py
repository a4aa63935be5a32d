"""The embedded server: it starts, dies with its parent, and says in one line what it cannot do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from netprobe.bus.server import Listen, run_server
from netprobe.errors import InputError, SystemRefusedError
from tests.unit.nats_server import LOCAL, PATIENCE_S, needs_nats_server, until

PARENT = """
import asyncio, pathlib, sys
from netprobe.bus.server import Listen, run_server
async def main():
    async with run_server(Listen("127.0.0.1", 0), directory=pathlib.Path(sys.argv[1]), accounts={}) as server:
        print(server.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@needs_nats_server
async def test_it_starts_on_a_free_port_and_ends_with_the_block(tmp_path: Path) -> None:
    async with run_server(LOCAL, directory=tmp_path / "nats", accounts={}) as server:
        assert server.url.startswith("nats://127.0.0.1:")
        assert is_running(server.pid)
    assert not is_running(server.pid)


@needs_nats_server
async def test_what_a_power_cut_may_cost_is_bounded(tmp_path: Path) -> None:
    async with run_server(LOCAL, directory=tmp_path / "nats", accounts={}):
        told = json.loads((tmp_path / "nats" / "nats-server.json").read_text())
    assert told["jetstream"]["sync_interval"] == "1s"


@needs_nats_server
async def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), PATIENCE_S))
    assert is_running(pid)
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await until(lambda: not is_running(pid))


@needs_nats_server
async def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemRefusedError) as caught:
            async with run_server(Listen("127.0.0.1", port), directory=tmp_path, accounts={}):
                pass
    assert str(caught.value) == f"cannot listen on 127.0.0.1:{port}: the port is already in use"


@needs_nats_server
async def test_what_the_server_refuses_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemRefusedError, match="nats-server did not start: ") as caught:
        async with run_server(
            LOCAL, directory=tmp_path, accounts={"agents": {"users": [{"nkey": "no key"}]}}
        ):
            pass
    assert "\n" not in str(caught.value)


@needs_nats_server
async def test_a_directory_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemRefusedError, match="file/nats: cannot be written"):
        async with run_server(LOCAL, directory=tmp_path / "file" / "nats", accounts={}):
            pass


@pytest.mark.parametrize("text", ["", "4222", ":4222", "host:", "host:x", "host:70000", "host:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not HOST:PORT"):
        Listen.parse(text)
