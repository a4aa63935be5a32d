"""Settings of a collector: files, addresses and durations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netprobe.bus.encryption import is_loopback
from netprobe.bus.server import Listen, ServerTls
from netprobe.errors import InputError
from netprobe.model.units import HOUR_NS, SECOND_NS


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of one collector."""

    inventory: Path | None
    """The inventory file; None if all clusters are registered."""
    data: Path
    listen: Listen
    keys: Path | None
    """Public keys of agents without a token, and of operators; None for none."""
    interval_ns: int = 10_000_000_000
    keep_ns: int = 24 * HOUR_NS
    """How long reports are kept in the history."""
    presence_ttl_ns: int = 30_000_000_000
    epoch_intervals: int = 60
    """Intervals until the next epoch of plans begins; 0 for never."""
    clusters: Path | None = None
    """The folder of registered clusters; None for none."""
    tls: ServerTls | None = None
    """The bus's certificate; None for a bus without TLS."""
    flat: bool = False
    """Whether clusters without links in the inventory reach each other directly."""
    http: Listen | None = None
    """Where metrics and health are served; None for nowhere."""
    metrics_token: Path | None = None
    """The file with the token for metrics; None to show them to this machine only."""
    bus: tuple[str, ...] = ()
    """Addresses (``IP:PORT``) of the bus, which agents then probe; empty for none."""
    history_url: str = ""
    """Where the history is kept; empty for an SQLite file in *data*."""

    def __post_init__(self) -> None:
        if self.tls is None and not is_loopback(self.listen.host):
            told = f"{self.listen} is plain text beyond this machine"
            raise InputError(f"{told}: give --tls-certificate and --tls-key", where="--listen")

    @property
    def interval_s(self) -> float:
        """The interval in seconds."""
        return self.interval_ns / SECOND_NS

    @property
    def presence_ttl_s(self) -> float:
        """The presence time-out in seconds."""
        return self.presence_ttl_ns / SECOND_NS

    @property
    def history_database(self) -> str:
        """The URL of the database that keeps the history."""
        return self.history_url or f"sqlite:///{self.data / 'history.db'}"

    @property
    def ready_file(self) -> Path:
        """The file that exists while the collector serves."""
        return self.data / "ready"
