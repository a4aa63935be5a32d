"""Diagnostics: levels, lines for people and for machines; a planted secret is in none of them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from netprobe import logs
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import new_user, write_seed
from netprobe.bus.login import TokenLogin
from netprobe.errors import InputError, NetprobeError, SystemRefusedError
from netprobe.logs import LogSettings, choose_settings
from tests.unit.discovery.api_server import Served, serve, write_kubeconfig
from tests.unit.nats_server import PROD, needs_nats_server, town

INVENTORY = """\
clusters:
  - {name: prod, nodes: [{name: w1, host_addresses: [127.0.0.1]}, {name: w2, host_addresses: [127.0.0.2]}]}
"""


@pytest.fixture
def untouched() -> Iterator[None]:
    """Levels and handlers of the process are as before when the test ends."""
    root = logging.getLogger()
    loggers = (root, *(logging.getLogger(name) for name in logs.OURS))
    levels, handlers = [one.level for one in loggers], list(root.handlers)
    yield
    root.handlers[:] = handlers
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)


@pytest.mark.parametrize(
    ("variable", "verbosity", "default", "settings"),
    [
        ("", 0, "warning", LogSettings("warning")),
        ("", 1, "warning", LogSettings("info")),
        ("", 9, "warning", LogSettings("debug")),
        ("", 0, "info", LogSettings("info")),
        ("error", 0, "info", LogSettings("error")),
        ("error", 1, "info", LogSettings("warning")),
        ("DEBUG, json", 0, "warning", LogSettings("debug", as_json=True)),
        ("json", 0, "info", LogSettings("info", as_json=True)),
    ],
)
def test_the_environment_decides_and_each_v_is_a_step_more(
    variable: str, verbosity: int, default: str, settings: LogSettings
) -> None:
    assert choose_settings({"NETPROBE_LOG": variable}, verbosity=verbosity, default=default) == settings


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InputError, match="NETPROBE_LOG: 'loud' is not error, warning, info, debug or json"):
        choose_settings({"NETPROBE_LOG": "loud"}, verbosity=0, default="info")


@pytest.mark.usefixtures("untouched")
def test_our_level_is_ours_alone(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings("debug"))
    logs.set_up(LogSettings("debug"))
    logging.getLogger("netprobe.bus.connection").debug("connected\nto %s", "a bus")
    logging.getLogger("netprobe_agent.serve").debug("stopping")
    logging.getLogger("kubernetes.aio").info("Authorization: Bearer t")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(r"Z DEBUG netprobe.bus.connection: connected\nto a bus")
    assert second.endswith("Z DEBUG netprobe_agent.serve: stopping")


@pytest.mark.usefixtures("untouched")
def test_json_is_one_object_per_record(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogSettings("info", as_json=True))
    logger = logging.getLogger("netprobe.lab")
    logger.info("fault %s\nis active", "tunnel-down-1")
    logger.debug("not this one")
    logger.error("the analysis failed", exc_info=NetprobeError("away"))
    told, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert told == {
        "time": told["time"], "level": "info", "logger": "netprobe.lab",
        "message": "fault tunnel-down-1\nis active",
    }  # fmt: skip
    assert (failed["level"], failed["message"]) == ("error", "the analysis failed")
    assert failed["error"].endswith("NetprobeError: away")


# --- never a secret ----------------------------------------------------------------------------


def forms_of(secret: str) -> set[str]:
    """As text, and where it is hexadecimal also as bytes in the ways that Python prints them."""
    forms = {secret}
    try:
        raw = bytes.fromhex(secret)
    except ValueError:
        return forms
    return forms | {base64.b64encode(raw).decode(), repr(raw), repr(raw)[2:-1]}


def expect_no_secret(log: str, *secrets: str) -> None:
    assert "DEBUG netprobe" in log, "the log says nothing, so it proves nothing"
    for secret in secrets:
        assert len(secret) > 16
        assert not [form for form in forms_of(secret) if form in log], log


@asynccontextmanager
async def running(module: str, *words: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of ours that logs at debug; ended by SIGTERM."""
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *words, stderr=stream, stdout=asyncio.subprocess.DEVNULL,
            env=os.environ | {"NETPROBE_LOG": "debug"},
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def until_logged(process: asyncio.subprocess.Process, log: Path, words: str) -> str:
    while words not in (text := await asyncio.to_thread(log.read_text)):
        assert process.returncode is None, text
        await asyncio.sleep(0.05)
    return text


@needs_nats_server
async def test_collector_agent_and_operator_log_no_secret(tmp_path: Path) -> None:
    (agent_seed, agent), (operator_seed, operator) = new_user(), new_user()
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "keys.json").write_text(
        json.dumps({"agents": {"prod/w1/host": agent}, "operators": [operator]})
    )
    for name, seed in (("agent.seed", agent_seed), ("operator.seed", operator_seed)):
        write_seed(tmp_path / name, seed)
        (tmp_path / name).chmod(0o600)
    data = tmp_path / "data"
    collector = running(
        "netprobe", "collector", "--inventory", str(tmp_path / "inventory.yaml"), "--data", str(data),
        "--keys", str(tmp_path / "keys.json"), "--listen", "127.0.0.1:0", "--interval", "1",
        log=tmp_path / "collector.log",
    )  # fmt: skip
    async with collector as process:
        serving = await until_logged(process, tmp_path / "collector.log", "serving on ")
        url = serving.partition("serving on ")[2].split()[0]
        serve_plan = running(
            "netprobe_agent", "-v", "serve", "--agent", "prod/w1/host", "--bus", url, "--port", "0",
            "--seed", str(tmp_path / "agent.seed"), "--spool", str(tmp_path / "spool"),
            log=tmp_path / "agent.log",
        )  # fmt: skip
        async with serve_plan as agent_process:
            await until_logged(agent_process, tmp_path / "agent.log", "interval ")
            show = running(
                "netprobe", "show", "--bus", url, "--seed", str(tmp_path / "operator.seed"),
                log=tmp_path / "show.log",
            )  # fmt: skip
            async with show as shown:
                await shown.wait()
    planted = [agent_seed, operator_seed, *find_kept_secrets(data)]
    for name in ("collector.log", "agent.log", "show.log"):
        expect_no_secret((tmp_path / name).read_text(), *planted)


def find_kept_secrets(data: Path) -> list[str]:
    """What the collector made up and keeps: the key that proves answers, and its seeds."""
    files = (path for path in data.rglob("*") if path.is_file() and path.stat().st_size < 9_999)
    texts = [path.read_text(errors="replace") for path in files]
    keys = [
        str(json.loads(text)[name])
        for text in texts
        for name in ("cookie_key", "master")
        if f'"{name}"' in text
    ]
    assert len(keys) == 2, "the collector keeps no secret of its keys, so the test proves nothing"
    return keys + [text.strip() for text in texts if text.startswith(("SU", "SA"))]


async def test_a_clusters_credentials_are_not_logged(tmp_path: Path) -> None:
    planted = "planted-token-of-a-kubeconfig-0123456789"
    config = write_kubeconfig(tmp_path / "config", "")
    log = tmp_path / "clusters.log"
    async with serve(Served()) as served:
        write_kubeconfig(config, served.url)
        config.write_text(config.read_text().replace('"token": "t"', f'"token": "{planted}"'))
        words = ("clusters", "--kubeconfig", str(config))
        async with running("netprobe", "-vv", *words, log=log) as process:
            await process.wait()
    assert "GET /version: 200" in log.read_text()
    expect_no_secret(log.read_text(), planted)


@needs_nats_server
async def test_a_token_that_is_refused_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = f"{'h' * 20}.{'p' * 200}.planted{'s' * 80}"
    (tmp_path / "token").write_text(token)
    async with town(tmp_path) as here:
        with caplog.at_level(logging.DEBUG, "netprobe"), pytest.raises(SystemRefusedError):
            await open_connection(here.url, login=TokenLogin(PROD, tmp_path / "token"), name="x")
    assert "connecting to the bus at 127.0.0.1" in caplog.text
    assert token not in caplog.text
    assert "planted" not in caplog.text
