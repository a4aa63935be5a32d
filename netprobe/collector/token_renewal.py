"""Renews the token with which a registered cluster is read, long before it expires.

Rules: the collector asks with the token that it has, which may ask for its own successor and for nothing
else. The successor goes where the registration is: into its file, or from inside a cluster into the Secret
that is mounted there. A failure is logged and tried again; the token counts meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import yaml

from netprobe.deploy.install.objects import CLUSTERS_SECRET, NAMESPACE, READER_LEASE, READER_TOKEN_S
from netprobe.discovery.k8s.client import ClusterApi, open_api
from netprobe.discovery.k8s.kubeconfig import IN_CLUSTER, Context
from netprobe.discovery.k8s.schema import Named
from netprobe.discovery.k8s.token_request import read_span, request_token
from netprobe.errors import InputError, NetprobeError
from netprobe.store.private_file import replace_file

RENEW_S = 24 * 3_600.0
"""Age at which a token is replaced; one that lives shorter than two days at half of its life."""
LOOK_S = 600.0

logger = logging.getLogger(__name__)

Keep = Callable[[Path, str], Awaitable[None]]
"""Puts a registration's kubeconfig where it is found after a restart."""


async def keep_token_fresh(
    api: ClusterApi, kubeconfig: Path, account: str, *, namespace: str, keep: Keep | None = None
) -> NoReturn:
    """Replace the token in *kubeconfig* whenever it is due."""
    while True:
        try:
            if await renew_token(api, kubeconfig, account, namespace=namespace, keep=keep or keep_kubeconfig):
                logger.info("%s: the token of %s was renewed", kubeconfig.stem, account)
        except NetprobeError as error:
            logger.warning("%s: the token of %s is not renewed: %s", kubeconfig.stem, account, error)
        await asyncio.sleep(LOOK_S)


async def renew_token(
    api: ClusterApi, kubeconfig: Path, account: str, *, namespace: str, keep: Keep, now_s: float | None = None
) -> bool:
    """Ask for the successor of the token in *kubeconfig* if it is due; whether it was."""
    document = _read(kubeconfig)
    user = _user_of(document, kubeconfig)
    if not is_due(str(user.get("token", "")), now_s=time.time() if now_s is None else now_s):
        return False
    user["token"] = await request_token(
        api, account, namespace=namespace, lifetime_s=READER_TOKEN_S, bound_to=READER_LEASE
    )
    await keep(kubeconfig, json.dumps(document))
    return True


def is_due(token: str, *, now_s: float) -> bool:
    """Whether *token* should be replaced now: also one that never expires, or that we cannot read."""
    span = read_span(token)
    return span is None or now_s - span.begins_s >= min(RENEW_S, (span.ends_s - span.begins_s) / 2)


async def keep_kubeconfig(path: Path, text: str) -> None:
    """Write the file; where it is mounted read-only, change the Secret in the cluster that we run in."""
    if os.access(path.parent, os.W_OK):
        replace_file(path, text)
        return
    async with open_api(Context(IN_CLUSTER, None)) as hub:
        await keep_in_secret(hub, path.name, text)


async def keep_in_secret(hub: ClusterApi, name: str, text: str) -> None:
    """Change one entry of the Secret with the registrations; the kubelet brings it into the file."""
    secret = f"/api/v1/namespaces/{NAMESPACE}/secrets/{CLUSTERS_SECRET}"
    await hub.merge(secret, {"data": {name: base64.b64encode(text.encode()).decode()}}, Named)


def _read(kubeconfig: Path) -> dict[str, object]:
    try:
        document = yaml.safe_load(kubeconfig.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("cannot be read", where=str(kubeconfig)) from error
    if not isinstance(document, dict):
        raise InputError("is not a kubeconfig", where=str(kubeconfig))
    return document


def _user_of(document: dict[str, object], kubeconfig: Path) -> dict[str, object]:
    """The credentials of the only user."""
    match document.get("users"):
        case [{"user": dict() as user}]:
            return user
    raise InputError("account: needs a kubeconfig with one user", where=str(kubeconfig))
