"""A bus for one agent: ``python -m benchmarks.bus FOLDER``.

Runs a real ``nats-server`` on 127.0.0.1 and puts the plan of ``FOLDER/plan.json`` in it for its agent, whose
seed it writes to ``FOLDER/seed``, and the server's address to ``FOLDER/url`` when all is there. It takes the
agent's reports as the collector does, acknowledges each, and keeps them in ``FOLDER/reports.jsonl``. It ends
when its input is closed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from netprobe.bus.accounts import accounts
from netprobe.bus.collector import CollectorBus, open_collector_bus
from netprobe.bus.keys import new_user
from netprobe.bus.login import SeedLogin
from netprobe.bus.server import Listen, run_server
from netprobe.model.check import Plan
from netprobe.model.window import Measured, Report
from netprobe.wire.measured_json import encode_measured
from netprobe.wire.reports import decode_report


async def serve(folder: Path) -> None:
    """Serve until standard input ends."""
    plan = msgspec.json.decode((folder / "plan.json").read_bytes(), type=Plan)
    (seed, public), (own_seed, own_public) = new_user(), new_user()
    known = accounts({plan.agent: public}, (), own_public)
    kept = folder / "nats"
    kept.mkdir()
    async with (
        run_server(Listen("127.0.0.1", 0), directory=kept, accounts=known) as server,
        open_collector_bus(server.url, login=SeedLogin(own_seed)) as bus,
    ):
        await bus.put_plans((plan,))
        (folder / "seed").write_text(seed)
        (folder / "seed").chmod(0o600)
        (folder / "url").write_text(server.url)
        with (folder / "reports.jsonl").open("wb", buffering=0) as output:
            taking = asyncio.create_task(_take(bus, output))
            await asyncio.to_thread(sys.stdin.read)
            taking.cancel()


async def _take(bus: CollectorBus, output: BinaryIO) -> None:
    while True:
        deliveries = await bus.take()
        output.writelines(
            encode_measured(_measured(decode_report(delivery.data))) + b"\n" for delivery in deliveries
        )
        await bus.acknowledge(deliveries)


def _measured(report: Report) -> Measured:
    return Measured(report.start_ns, report.length_ns, report.windows, report.heard)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
