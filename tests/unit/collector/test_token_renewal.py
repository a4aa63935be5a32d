"""The hub's token for another cluster: replaced long before it expires, and kept where a restart finds it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from netprobe.collector.registry import read_registered
from netprobe.collector.token_renewal import RENEW_S, is_due, keep_kubeconfig, renew_token
from netprobe.deploy.install.objects import READER, READER_LEASE, READER_TOKEN_S
from netprobe.discovery.k8s.client import ApiRefusedError, ClusterApi, open_api
from netprobe.discovery.k8s.kubeconfig import read_contexts
from netprobe.errors import InputError

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0


def token_of(*, begins_s: float, ends_s: float) -> str:
    """As an API server issues it; only the times are read."""
    body = (
        base64.urlsafe_b64encode(json.dumps({"iat": begins_s, "exp": ends_s}).encode()).decode().rstrip("=")
    )
    return f"head.{body}.signature"


FRESH = token_of(begins_s=NOW_S - 3_600, ends_s=NOW_S - 3_600 + READER_TOKEN_S)
STALE = token_of(begins_s=NOW_S - RENEW_S, ends_s=NOW_S - RENEW_S + READER_TOKEN_S)


@pytest.mark.parametrize(
    ("token", "due"),
    [
        (FRESH, False),
        (STALE, True),
        (token_of(begins_s=NOW_S - 1_000, ends_s=NOW_S + 2_600), False),
        (token_of(begins_s=NOW_S - 1_900, ends_s=NOW_S + 1_700), True),
        (token_of(begins_s=NOW_S - 9 * DAY_S, ends_s=NOW_S - 2 * DAY_S), True),
        ("of.a.stranger", True),
        ("", True),
    ],
    ids=["an hour old", "a day old", "short, young", "short, half", "expired", "unreadable", "none"],
)
def test_a_token_is_replaced_after_a_day_or_half_of_its_life(token: str, due: bool) -> None:
    assert is_due(token, now_s=NOW_S) is due


@dataclass
class Spoke:
    """An API server that issues tokens for one account to a client with the token that it knows."""

    knows: str
    asked: list[dict[str, object]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.knows}":
            return web.json_response({"message": "unknown token"}, status=401)
        if request.path != f"/api/v1/namespaces/netprobe/serviceaccounts/{READER}/token":
            return web.json_response({"message": "forbidden"}, status=403)
        self.asked.append((await request.json())["spec"])
        return web.json_response({"status": {"token": FRESH}}, status=201)


@asynccontextmanager
async def spoke(folder: Path, token: str) -> AsyncIterator[tuple[Spoke, ClusterApi, Path]]:
    served = Spoke(token)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", served.answer)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        file = folder / "west.kubeconfig"
        file.write_text(json.dumps({
            "current-context": "west", "users": [{"name": "west", "user": {"token": token}}],
            "clusters": [{"name": "west", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
            "contexts": [{"name": "west", "context": {"cluster": "west", "user": "west"}}],
        }))  # fmt: skip
        async with open_api(read_contexts([file]).choose()[0]) as api:
            yield served, api, file
    finally:
        await runner.cleanup()


async def test_the_successor_is_bound_expires_and_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    async with spoke(tmp_path, STALE) as (served, api, file):
        before = json.loads(file.read_text())
        assert await renew_token(api, file, READER, namespace="netprobe", keep=keep_kubeconfig, now_s=NOW_S)
        bound = {"apiVersion": "v1", "kind": "Secret", "name": READER_LEASE}
        assert served.asked == [{"expirationSeconds": READER_TOKEN_S, "boundObjectRef": bound}]
        after = json.loads(file.read_text())
        assert after["users"][0]["user"] == {"token": FRESH}
        assert {key: after[key] for key in after if key != "users"} == {
            key: before[key] for key in before if key != "users"
        }
        assert file.stat().st_mode & 0o077 == 0
        assert not await renew_token(
            api, file, READER, namespace="netprobe", keep=keep_kubeconfig, now_s=NOW_S
        )


async def test_a_server_that_gives_none_leaves_the_old_token(tmp_path: Path) -> None:
    async with spoke(tmp_path, STALE) as (_, api, file):
        before = file.read_text()
        with pytest.raises(ApiRefusedError, match="not allowed"):
            await renew_token(
                api, file, "netprobe-agent-pod", namespace="netprobe", keep=keep_kubeconfig, now_s=NOW_S
            )
        assert file.read_text() == before


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"account": READER}, "account: needs a kubeconfig"),
        ({"account": "../x", "kubeconfig": "west.kubeconfig"}, "account: '../x' is not a name"),
    ],
)
def test_an_account_that_cannot_be_renewed_is_refused(
    more: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    user = {"name": "w", "user": {"token": "t"}}
    (tmp_path / "west.kubeconfig").write_text(json.dumps({
        "current-context": "w", "users": [user],
        "clusters": [{"name": "w", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "w", "context": {"cluster": "w", "user": "w"}}],
    }))  # fmt: skip
    file = tmp_path / "west.yaml"
    key = {"kty": "RSA", "n": "sXch", "e": "AQAB", "kid": "k"}
    file.write_text(json.dumps({"name": "west", "issuer": "https://i", "keys": [key]} | more))
    with pytest.raises(InputError, match=complaint):
        read_registered(file)
