"""Cache of the bus addresses from the last plan, in the spool folder.

Rules: an agent that restarts while the service proxy or DNS is broken still finds the bus, if its folder was
kept (restarted container, rebooted node). The cache is only a hint: the bus still has to prove its name, an
unreadable cache is ignored, and the next plan replaces it.
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
    """The bus addresses (``IP:PORT``) of *agent*'s last plan; empty if there is no valid cache."""
    try:
        cached = decode_plan((folder / _FILE).read_bytes())
    except (OSError, RemoteFormatError):
        return ()
    return cached.bus if cached.agent == agent else ()


def save_bus_addresses(folder: Path, plan: Plan) -> None:
    """Cache the bus addresses of *plan*, and nothing else of it; a failed write only loses the hint."""
    hint = replace(
        plan, checks=(), peers=(), askable=(), cookie_key=b"", own_keys=(), target_keys=()
    )  # fmt: skip
    part = folder / f"{_FILE}.part"
    try:
        if not plan.bus:
            (folder / _FILE).unlink(missing_ok=True)
            return
        part.write_bytes(encode_plan(hint))
        part.rename(folder / _FILE)
    except OSError as error:
        logger.warning("cannot cache the bus address in %s: %s", folder, error.strerror)
