"""What a collector is told: files, addresses, durations, and the keys of those it speaks with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netprobe.bus.keys import is_public_user
from netprobe.bus.server import Listen, ServerTls
from netprobe.errors import InputError
from netprobe.model.names import AgentId
from netprobe.wire.keys import read_keys_document

_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one collector."""

    inventory: Path | None
    """What people wrote about the fleet; None where registered clusters are all there is."""
    data: Path
    listen: Listen
    keys: Path | None
    """Public keys of agents without a token, and of operators; None for none."""
    interval_ns: int = 10_000_000_000
    keep_ns: int = 24 * _HOUR_NS
    """How long reports are kept in the history."""
    presence_ttl_ns: int = 30_000_000_000
    epoch_intervals: int = 60
    """After so many intervals the next epoch of plans begins; 0 for never."""
    clusters: Path | None = None
    """The folder of registered clusters; None where none are."""
    tls: ServerTls | None = None
    """The bus's certificate; None for a bus without TLS."""
    flat: bool = False
    """Whether clusters that nobody joined by links reach each other directly."""
    http: Listen | None = None
    """Where metrics and probes are answered; None for nowhere."""
    bus: tuple[str, ...] = ()
    """Addresses (``IP:PORT``) of the bus itself, which agents are told; empty where nobody says them."""
    history_url: str = ""
    """Where the history is kept; empty for an SQLite file in *data*."""

    @property
    def ready_file(self) -> Path:
        """The file that stands while the collector serves."""
        return self.data / "ready"


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys: of agents, and of people and programs that may ask."""

    agents: Mapping[AgentId, str]
    operators: tuple[str, ...]


def read_keys(path: Path | None) -> Keys:
    """Read the keys file, if there is one; every mistake is one :class:`InputError` with its place."""
    if path is None:
        return Keys({}, ())
    document = read_keys_document(path)
    agents: dict[AgentId, str] = {}
    holders: dict[str, str] = {}
    for name, public in document.agents.items():
        try:
            agents[AgentId.parse(name)] = public
        except InputError as error:
            raise InputError(f"agents: {error.what}", where=str(path)) from error
        _expect_public(public, f"agents.{name}", holders, path)
    for index, public in enumerate(document.operators):
        _expect_public(public, f"operators[{index}]", holders, path)
    return Keys(agents, document.operators)


def _expect_public(public: str, field: str, holders: dict[str, str], path: Path) -> None:
    if not is_public_user(public):
        raise InputError(f"{field}: is not a user's public key (U…)", where=str(path))
    holder = holders.setdefault(public, field)
    if holder != field:
        raise InputError(f"{field}: has the same key as {holder}", where=str(path))
