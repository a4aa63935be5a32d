"""Where the bus itself stands, as the last plan said, kept beside the reports.

Rules: an agent that starts anew where the service proxy or the name server is broken still finds the bus, if
its folder lived on (a container that is restarted, a node that boots). It is a hint and nothing more: the bus
proves its name there as anywhere, what cannot be read is forgotten, and the next plan counts.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from netprobe.errors import RemoteFormatError
from netprobe.model.check import Plan
from netprobe.model.names import AgentId
from netprobe.wire.messages import decode_plan, encode_plan

_FILE = "bus.plan"
logger = logging.getLogger(__name__)


def load_bus_addresses(folder: Path, agent: AgentId) -> tuple[str, ...]:
    """The addresses (``IP:PORT``) of *agent*'s last plan; none where nobody kept them or they are none."""
    try:
        kept = decode_plan((folder / _FILE).read_bytes())
    except (OSError, RemoteFormatError):
        return ()
    return kept.bus if kept.agent == agent else ()


def save_bus_addresses(folder: Path, plan: Plan) -> None:
    """Keep what *plan* says of the bus, and nothing else of it; a disk that refuses costs only the hint."""
    hint = replace(plan, checks=(), peers=(), askable=(), cookie_key=b"")
    beside = folder / f"{_FILE}.part"
    try:
        if not plan.bus:
            (folder / _FILE).unlink(missing_ok=True)
            return
        beside.write_bytes(encode_plan(hint))
        beside.rename(folder / _FILE)
    except OSError as error:
        logger.warning("the bus's address cannot be kept in %s: %s", folder, error.strerror)
