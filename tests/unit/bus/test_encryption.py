"""Plain text stays on the loopback of one machine, and a bus that should speak TLS has to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from netprobe.bus.accounts import accounts
from netprobe.bus.agent import AgentBus
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.connection import open_connection
from netprobe.bus.encryption import can_be_at, expect_encrypted, expect_url
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin, ServerTrust
from netprobe.bus.server import Listen, Server, ServerTls, run_server
from netprobe.collector.settings import Settings
from netprobe.collector.tls_reload import trust_own_server
from netprobe.errors import InputError, SystemRefusedError
from tests.unit.authority import Authority
from tests.unit.nats_server import LOCAL, PROD, needs_nats_server, until

HUB = "hub.example"


@pytest.mark.parametrize("url", ["nats://127.0.0.1:4222", "nats://127.9.9.9:1", "nats://[::1]:4222",
                                 "ws://localhost:80", "tls://hub:4222", "wss://10.0.0.1:443"])  # fmt: skip
def test_loopback_and_encrypted_addresses_are_accepted(url: str) -> None:
    expect_url(url)


@pytest.mark.parametrize("url", ["nats://hub:4222", "ws://hub:80", "nats://10.0.0.1:4222", "nats://[fd00::7]:1",
                                 "nats://0.0.0.0:4222", "nats://localhost.evil:1", "nats://127.0.0.1.evil:1",
                                 "NATS://hub:4222", "nats://user@hub:4222"])  # fmt: skip
def test_plain_text_beyond_loopback_is_refused_in_one_line_that_says_what_to_do(url: str) -> None:
    with pytest.raises(InputError, match="would be plain text beyond this machine: use ") as told:
        expect_url(url, where="--bus")
    assert str(told.value).startswith("--bus: ")
    assert "\n" not in str(told.value)


def test_a_plain_bus_is_not_looked_for_at_an_address_beyond_loopback() -> None:
    assert can_be_at("nats://127.0.0.1:4222", "127.0.0.1:1")
    assert not can_be_at("nats://127.0.0.1:4222", "10.0.0.7:4222")
    assert can_be_at("tls://hub:4222", "10.0.0.7:4222")
    with pytest.raises(InputError, match="plain text"):
        expect_encrypted("nats://127.0.0.1:4222")


async def test_nobody_connects_in_plain_text_beyond_loopback() -> None:
    seed = SeedLogin(new_user()[0])
    with pytest.raises(InputError, match="plain text"):
        await open_connection("nats://192.0.2.1:4222", login=seed, name="one")
    with pytest.raises(InputError, match="plain text"):
        await open_connection("nats://127.0.0.1:4222", login=seed, name="one", at="192.0.2.1:4222")
    with pytest.raises(InputError, match="plain text"):
        await AgentBus.connect("nats://192.0.2.1:4222", agent=PROD, login=seed)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "hub"])
def test_a_collector_listens_beyond_loopback_only_with_a_certificate(host: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--listen: .* is plain text beyond this machine: give --tls-cert"):
        Settings(None, tmp_path, Listen(host, 4222), None)
    Settings(None, tmp_path, Listen(host, 4222), None, tls=ServerTls(tmp_path, tmp_path))
    Settings(None, tmp_path, LOCAL, None)


async def test_a_greeting_without_tls_gets_no_login(tmp_path: Path) -> None:
    """As a thief on the way would give it: the library alone goes on in plain text, with the token."""
    heard = bytearray()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b'INFO {"server_id": "x", "max_payload": 1048576, "nonce": "abc"}\r\n')
            await writer.drain()
            heard.extend(await reader.read())
        finally:
            writer.close()

    authority = Authority(tmp_path)
    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for scheme, trust in (("tls", None), ("tls", ServerTrust(authority.file)),
                              ("nats", ServerTrust(authority.file))):  # fmt: skip
            with pytest.raises(SystemRefusedError, match="offers plain text: nothing was sent"):
                await open_connection(
                    f"{scheme}://127.0.0.1:{port}", login=SeedLogin(new_user()[0]), name="a", trust=trust
                )
    assert heard == b""


@asynccontextmanager
async def end_of_a_tunnel(folder: Path, authority: Authority, host: str) -> AsyncIterator[tuple[Server, str]]:
    """What listens on our loopback and shows a certificate for *host*; and the seed of an agent."""
    collector, agent = new_user(), new_user()
    tls = ServerTls(*authority.sign(host, host=host))
    entries = accounts({PROD: agent[1]}, (), collector[1])
    async with (
        run_server(LOCAL, directory=folder / host, accounts=entries, tls=tls) as server,
        open_collector_bus(server.url, login=SeedLogin(collector[0]), trust=trust_own_server(tls)),
    ):
        yield server, agent[0]


@needs_nats_server
async def test_at_the_end_of_a_tunnel_the_hub_itself_has_to_answer(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    trust = ServerTrust(authority.file)
    async with end_of_a_tunnel(tmp_path, authority, HUB) as (server, seed):
        way = f"127.0.0.1:{urlsplit(server.url).port}"
        async with await AgentBus.connect(
            f"tls://{HUB}:4222", agent=PROD, login=SeedLogin(seed), trust=trust, at=way
        ) as bus:
            await until(lambda: bus.is_connected)
    for signer, host in ((stranger, HUB), (authority, "127.0.0.1")):
        async with end_of_a_tunnel(tmp_path, signer, host) as (server, seed):
            way = f"127.0.0.1:{urlsplit(server.url).port}"
            with pytest.raises(SystemRefusedError, match="its certificate is "):
                await open_connection(
                    f"tls://{HUB}:4222", login=SeedLogin(seed), name="agent", trust=trust, at=way
                )
