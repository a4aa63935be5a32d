"""TLS on a real server: which peer is trusted, and what is said where no peer is."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from netprobe.bus.accounts import accounts
from netprobe.bus.agent import AgentBus
from netprobe.bus.collector import open_collector_bus
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin, ServerTrust
from netprobe.bus.nats_client import NatsClient
from netprobe.bus.server import Server, ServerTls, run_server
from netprobe.collector.tls_reload import trust_own_server
from netprobe.errors import BusAwayError, InputError, SystemRefusedError
from tests.unit.authority import Authority
from tests.unit.nats_server import LOCAL, PATIENCE_S, PROD, needs_nats_server, until

pytestmark = needs_nats_server


@dataclass(frozen=True, slots=True)
class Town:
    """A server that shows *tls*, and who may come."""

    server: Server
    tls: ServerTls
    collector: SeedLogin
    agent: SeedLogin

    async def knock(self, trust: ServerTrust | None) -> None:
        """Connect as the agent and leave."""
        connection = await open_connection(self.server.url, login=self.agent, name="knock", trust=trust)
        await connection.close()


@asynccontextmanager
async def town(directory: Path, tls: ServerTls) -> AsyncIterator[Town]:
    collector, agent = new_user(), new_user()
    entries = accounts({PROD: agent[1]}, (), collector[1])
    async with run_server(LOCAL, directory=directory / "nats", accounts=entries, tls=tls) as server:
        yield Town(server, tls, SeedLogin(collector[0]), SeedLogin(agent[0]))


async def test_an_agent_that_trusts_the_authority_works_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with town(tmp_path, ServerTls(*authority.sign("bus", host="127.0.0.1"))) as here:
        trust = ServerTrust(authority.file)
        async with (
            open_collector_bus(here.server.url, login=here.collector, trust=trust_own_server(here.tls)),
            await AgentBus.connect(here.server.url, agent=PROD, login=here.agent, trust=trust) as agent,
        ):
            await until(lambda: agent.is_connected)


async def test_a_certificate_that_is_not_good_is_named_in_one_line(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    expired = authority.sign("expired", host="127.0.0.1", lasts=timedelta(hours=-1))
    elsewhere = authority.sign("elsewhere", host="bus.example")
    for pair, trust, complaint in (
        (expired, ServerTrust(authority.file), "its certificate has expired: renew it"),
        (elsewhere, ServerTrust(authority.file), r"its certificate is for another name: .*127\.0\.0\.1"),
        (elsewhere, ServerTrust(stranger.file), "its certificate is not trusted: unable to get local issuer"),
    ):
        async with town(tmp_path, ServerTls(*pair)) as here:
            with pytest.raises(SystemRefusedError, match=f"^the bus at .*: {complaint}") as told:
                await here.knock(trust)
            assert "\n" not in str(told.value)


async def test_a_refused_handshake_is_over_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Closing takes no turn of the loop: nothing is waited for, so no time-out can end the wait either."""
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    async with town(tmp_path, ServerTls(*authority.sign("bus", host="127.0.0.1"))) as here:
        client = NatsClient()
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.connect(
                here.server.url, tls=ServerTrust(stranger.file).context(), allow_reconnect=False
            )
        with pytest.raises(StopIteration):
            client.abandon().send(None)
        with caplog.at_level(logging.DEBUG, "netprobe"), pytest.raises(SystemRefusedError):
            await here.knock(ServerTrust(stranger.file))
    assert "closing the connection" not in caplog.text, "closing ended by a time-out"


async def test_a_handshake_without_an_answer_ends_with_the_time_to_connect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"tls_required": true}\r\n')
        await writer.drain()
        await hung_up.wait()
        writer.close()

    hung_up = asyncio.Event()
    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with caplog.at_level(logging.DEBUG, "netprobe"), pytest.raises(BusAwayError, match="timeout"):
            await open_connection(
                f"tls://127.0.0.1:{port}", login=SeedLogin(new_user()[0]), name="knock", timeout_s=0.05
            )
        hung_up.set()
    assert "closing the connection" not in caplog.text, "closing ended by a time-out"


async def test_the_collector_knows_its_own_server_whatever_name_it_shows(tmp_path: Path) -> None:
    tls = ServerTls(*Authority(tmp_path).sign("bus", host="netprobe-bus.netprobe.svc"))
    async with town(tmp_path, tls) as here:
        await here.knock(trust_own_server(tls))  # does not raise


async def test_mutual_tls_wants_a_certificate_and_says_so(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = ServerTls(*authority.sign("bus", host="127.0.0.1"), ca=authority.file)
    async with town(tmp_path, tls) as here:
        certificate, key = authority.sign("agent", host="agent")
        await here.knock(ServerTrust(authority.file, certificate, key))
        await here.knock(trust_own_server(tls))  # does not raise
        with pytest.raises(SystemRefusedError, match="wants a certificate of ours"):
            await here.knock(ServerTrust(authority.file))


async def test_who_does_not_speak_tls_is_told(tmp_path: Path) -> None:
    tls = ServerTls(*Authority(tmp_path).sign("bus", host="127.0.0.1"))
    async with town(tmp_path, tls) as here:
        url = here.server.url.replace("tls://", "nats://")
        with pytest.raises(SystemRefusedError, match="its certificate is not trusted"):
            await open_connection(url, login=here.agent, name="plain")


async def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    tls = ServerTls(*old.sign("bus", host="127.0.0.1"))
    async with town(tmp_path, tls) as here:
        await here.knock(ServerTrust(old.file))
        for fresh, stale in zip(new.sign("fresh", host="127.0.0.1"), (tls.certificate, tls.key), strict=True):
            shutil.copy(fresh, stale)
        here.server.reload()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await here.knock(ServerTrust(new.file))  # does not raise in the end
                    break
                except SystemRefusedError:
                    await asyncio.sleep(0.05)


def test_files_that_hold_no_certificate_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("nothing")
    certificate, _ = Authority(tmp_path).sign("one", host="one")
    _, other_key = Authority(tmp_path).sign("other", host="other")
    for trust, where in (
        (ServerTrust(tmp_path / "none"), tmp_path / "none"),
        (ServerTrust(bad), bad),
        (ServerTrust(certificate=certificate, key=other_key), certificate),
    ):
        with pytest.raises(InputError) as told:
            trust.context()
        assert str(told.value).startswith(f"{where}: ")
    assert ServerTrust().context().verify_mode is ssl.CERT_REQUIRED
