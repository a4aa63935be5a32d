"""Metrics and probes of a real collector, asked by hand and scraped by a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from netprobe.bus.server import Listen
from netprobe.collector.monitor import MonitorSources, open_monitor
from netprobe.errors import SystemRefusedError
from tests.unit.collector.test_service import (
    AGENTS,
    House,
    house,
    join,
    measure,
    publish_patiently,
    until_stored,
)
from tests.unit.nats_server import PATIENCE_S, needs_nats_server

pytestmark = pytest.mark.timeout(300)
PROMETHEUS = shutil.which("prometheus")
LOCAL = Listen("127.0.0.1", 0)


async def tell(accept: str) -> tuple[bytes, str]:
    return b"x 1\n", "text/plain"


async def get(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text()


async def test_alive_and_ready_are_two_things() -> None:
    why = "the bus is not served yet"
    async with open_monitor(LOCAL, MonitorSources(tell, lambda: why)) as url:
        assert await get(f"{url}/healthz") == (200, "ok\n")
        assert await get(f"{url}/readyz") == (503, "the bus is not served yet\n")
        why = ""
        assert await get(f"{url}/readyz") == (200, "ok\n")
        assert await get(f"{url}/metrics") == (200, "x 1\n")
        assert (await get(f"{url}/other"))[0] == 404


async def test_metrics_are_for_those_who_show_the_token_and_health_is_for_everybody(tmp_path: Path) -> None:
    token = tmp_path / "token"
    async with open_monitor(LOCAL, MonitorSources(tell, str), token=token) as url:
        for shown in ("", "Bearer ", "Bearer secret", "Bearer None"):
            assert (await get(f"{url}/metrics", Authorization=shown))[0] == 401, "there is no token yet"
        token.write_text("secret\n")
        assert await get(f"{url}/metrics", Authorization="Bearer secret") == (200, "x 1\n")
        for shown in ("", "secret", "Basic secret", "Bearer secre", "Bearer secret2", "Bearer Ünknown"):
            status, told = await get(f"{url}/metrics", Authorization=shown)
            assert (status, told) == (401, "metrics need the token of --metrics-token\n")
        assert (await get(f"{url}/metrics"))[0] == 401
        assert await get(f"{url}/healthz") == (200, "ok\n")
        assert await get(f"{url}/readyz") == (200, "ok\n")
        token.write_text("")
        assert (await get(f"{url}/metrics", Authorization="Bearer "))[0] == 401


async def test_without_a_token_metrics_are_for_this_machine_only() -> None:
    """Asked at an address of ours beyond loopback; no packet leaves for another machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(("192.0.2.1", 9))  # sends nothing: only the source address is looked up
        except OSError:
            pytest.skip("no address but loopback here")
        own = route.getsockname()[0]
    async with open_monitor(Listen("0.0.0.0", 0), MonitorSources(tell, str)) as url:
        port = url.rpartition(":")[2]
        assert (await get(f"http://127.0.0.1:{port}/metrics"))[0] == 200
        if own != "127.0.0.1":
            assert (await get(f"http://{own}:{port}/metrics"))[0] == 401


async def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = Listen("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(SystemRefusedError, match=rf"^--http {listen}: cannot listen: .*in use"):
            async with open_monitor(listen, MonitorSources(tell, str)):
                pass


async def test_without_an_address_nobody_is_answered() -> None:
    async with open_monitor(None, MonitorSources(tell, str)) as url:
        assert url == ""


def monitor_of(here: House) -> str:
    return str(json.loads(here.ready_file.read_text())["http"])


@needs_nats_server
async def test_a_collector_that_serves_says_so_and_counts(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        url = monitor_of(here)
        assert await get(f"{url}/readyz") == (200, "ok\n")
        bus, plan = await join(stack, here, AGENTS[0])
        await publish_patiently(bus, measure(plan, 1))
        await until_stored(here, 1)
        _, told = await get(f"{url}/metrics")
        assert f"\nnetprobe_windows_stored_total {float(len(plan.checks))}\n" in told
        assert '\nnetprobe_findings{cause="unknown"} ' in told


@asynccontextmanager
async def prometheus(directory: Path, target: str) -> AsyncIterator[str]:
    """A Prometheus that scrapes *target* every second; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = f"127.0.0.1:{free.getsockname()[1]}"
    config = directory / "prometheus.json"
    job = {"job_name": "netprobe", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
    config.write_text(json.dumps({"scrape_configs": [job]}))
    words = (
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address={own}",
    )
    with (directory / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(str(PROMETHEUS), *words, stderr=log)
    try:
        yield f"http://{own}"
    finally:
        process.kill()
        await process.wait()


async def query(server: str, asked: str) -> list[dict[str, str]]:
    """Labels of what an instant query finds; nothing while the server is not there yet."""
    try:
        status, body = await get(f"{server}/api/v1/query?query={asked}")
    except aiohttp.ClientError:
        return []
    found = json.loads(body)["data"]["result"] if status == 200 else []
    return [one["metric"] for one in found]


@needs_nats_server
@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed (Debian: prometheus)")
async def test_a_real_prometheus_scrapes_a_real_collector(tmp_path: Path) -> None:
    async with house(tmp_path) as here, AsyncExitStack() as stack:
        await here.start()
        target = monitor_of(here).removeprefix("http://")
        server = await stack.enter_async_context(prometheus(tmp_path, target))
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await query(server, "netprobe_agents>0")):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        assert {(one["cluster"], one["plane"], one["state"]) for one in found} == {
            ("prod", "pod", "alive"), ("prod", "host", "alive"),
        }  # fmt: skip
        assert await query(server, "up==1")
