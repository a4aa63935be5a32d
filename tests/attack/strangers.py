"""Attacks of who has no credential, and of one registered cluster on another."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from netprobe.bus.callout import Caller
from netprobe.bus.connection import open_connection
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin, TokenLogin
from netprobe.bus.tokens import MAX_KEYS, Bearer, TrustedCluster, verify
from netprobe.collector.admission import Admission
from netprobe.collector.registry import ClusterRegistry, read_registered
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.names import ClusterName
from tests.attack.tally import AttackTally
from tests.attack.world import THIEF_BY_TOKEN, VICTIM, log_lines, world
from tests.unit.bus.test_tokens import AGENT, CLUSTERS, ISSUER, KEYS, NOW_NS, jwk, signed
from tests.unit.collector.test_registry import GOOD, KEY, KUBECONFIG, write

STRANGERS = 20
LOGGER = "netprobe"


async def attack_logins() -> AttackTally:
    """Knock without a token and with bad ones: few lines, each counted, no name that writes its own line."""
    tally = AttackTally()
    async with world() as here, log_lines(LOGGER) as lines:
        bad = here.token.with_name("bad")
        bad.write_text("a.b.c")
        for number in range(STRANGERS):
            forged = f"\x1b[31m\nERROR {number}"
            for login, name in (
                (SeedLogin(new_user()[0]), f"stranger {forged}"),
                (TokenLogin(VICTIM, bad), f"prod/{forged}/pod"),
            ):
                try:
                    connection = await open_connection(here.url, login=login, name=name)
                    await connection.close()
                    tally.note("came in", held=False)
                except SystemRefusedError:
                    tally.note("came in", held=True)
        with suppress(SystemRefusedError):
            await open_connection(here.url, login=TokenLogin(VICTIM, bad), name=str(VICTIM))
        refused = here.admission.refused
        tally.note("counted", held=refused.total() == 2 * STRANGERS + 1)
        told = [line for line in lines if line.startswith("refused: ")]
        tally.note("few lines", held=len(told) == len(refused))
        tally.note("lines of their own", held=all(line.isprintable() for line in told))
        named = here.admission.find_refused({VICTIM}, now_ns=time.time_ns())
        tally.note("refused in another's name", held=not named)
        good = await here.open(here.login_of(THIEF_BY_TOKEN), str(THIEF_BY_TOKEN))
        tally.note("the good one comes in", held=good.is_open)
    return tally


async def attack_clusters() -> AttackTally:
    """What one registered cluster can do to another, and to the collector."""
    tally = AttackTally()
    copied = TrustedCluster(ClusterName("aaa"), ISSUER, CLUSTERS[0].keys)
    for clusters in ((copied, *CLUSTERS), (*CLUSTERS, copied)):
        verdict = verify(signed(), claimed=AGENT, clusters=clusters, now_ns=NOW_NS)
        tally.note("copied keys", held=isinstance(verdict, Bearer))
    for claim in ("exp", "nbf"):
        for value in (1e308, float("inf"), float("nan"), 1e12):
            other: dict[str, Any] = {claim: value}
            tally.note(f"{claim} {value}", held=_refuses(signed(**other)))
    with TemporaryDirectory() as made:
        _attack_registry(Path(made), tally)
    return tally


def _refuses(token: str) -> bool:
    gate = Admission(CLUSTERS)
    try:
        return not isinstance(gate.judge(Caller(AGENT, token, ""), now_ns=NOW_NS), Bearer)
    except (ValueError, OverflowError):
        return False


def _attack_registry(folder: Path, tally: AttackTally) -> None:
    write(folder, "prod.yaml", **GOOD)
    registry = ClusterRegistry(folder)
    registry.read()
    write(folder, "aaa.yaml", **GOOD | {"name": "aaa"})
    tally.note("another's key", held=[found.name for found in registry.read()] == ["prod"])
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "true", "interactiveMode": "Never"}
    users = [{"name": "u", "user": {"exec": plugin}}]
    (folder / "exec.kubeconfig").write_text(json.dumps(KUBECONFIG | {"users": users}))
    for name, fields in (
        ("many", GOOD | {"keys": [KEY] * 100}),
        ("exec", {"name": "exec", "kubeconfig": "exec.kubeconfig"}),
    ):
        try:
            read_registered(write(folder, f"{name}.yaml", **fields))
            tally.note(name, held=False)
        except InputError:
            tally.note(name, held=True)
    others = [jwk(KEYS["dev"], "k")] * MAX_KEYS
    many = TrustedCluster(ClusterName("prod"), ISSUER, (*others, {**KEY, "kid": "k"}))
    verdict = verify(signed(kid="k"), claimed=AGENT, clusters=(many,), now_ns=NOW_NS)
    tally.note("many keys of one id: the last one is not tried", held=not isinstance(verdict, Bearer))
