"""What an intent needs to know, put to agents that stand: on a bus, or on a visit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netprobe.analysis.intent.availability import find_absent
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.analysis.intent.sample import Sample, draw_sample
from netprobe.errors import InputError
from netprobe.model.intent import Cell, CellResult, Intent, LocateDrops
from netprobe.model.names import AgentId, Plane
from netprobe.model.recorded_packets import PacketRecording
from netprobe.model.snapshot import Snapshot
from netprobe.model.ssh import SshAccess
from netprobe.wire.asker import Asker
from netprobe.workflows.recordings import PacketBook
from netprobe.workflows.verification import verify_cells


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What is asked, and how much of it."""

    path: Path
    intent: Intent
    size: int | None
    """Cells of a sample; None for all."""
    locate: LocateDrops
    key: str
    book: PacketBook | None = None
    """Takes the packets; None: agents record none."""

    @property
    def record(self) -> Callable[[AgentId, PacketRecording | None], None] | None:
        """What takes the packets of an answer; None where they are not asked for."""
        return self.book.take if self.book is not None else None

    def draw(self, snapshot: Snapshot) -> Sample:
        """The cells to ask. Raises :class:`InputError` where the intent matches no agent."""
        cells = expand_cells(self.intent, snapshot.inventory)
        if not cells:
            raise InputError("matches no agent in this fleet: every group is empty", where=str(self.path))
        return draw_sample(cells, size=len(cells) if self.size is None else self.size, key=self.key)

    async def judge(self, agents: Asker, sample: Sample, snapshot: Snapshot) -> tuple[CellResult, ...]:
        """Every cell of *sample*, as *agents* see it now; hosts without an agent are asked over SSH."""
        ways = _find_silent_hosts(snapshot, sample.cells)
        if not ways:
            return await self._verify(agents, sample, snapshot)
        from netprobe.workflows.ssh_asker import HostsAsker, mark_coarser  # noqa: PLC0415
        from netprobe.workflows.ssh_hosts import show_progress  # noqa: PLC0415 - only those who ask pay for SSH

        asker = HostsAsker(ways, agents, show_progress(len(ways)))
        return mark_coarser(await self._verify(asker, sample, snapshot), ways)

    async def _verify(self, asker: Asker, sample: Sample, snapshot: Snapshot) -> tuple[CellResult, ...]:
        return await verify_cells(
            asker, sample.cells, intent=self.intent, snapshot=snapshot, locate=self.locate
        )


def _find_silent_hosts(snapshot: Snapshot, cells: tuple[Cell, ...]) -> dict[AgentId, SshAccess]:
    """Hosts that are to ask, have no agent that speaks, and are reached over SSH."""
    absent = find_absent(snapshot)
    ways = {}
    for source in {cell.source for cell in cells}:
        node = snapshot.inventory.find_node(source.node_id)
        if str(source) in absent and source.plane is Plane.HOST and node is not None and node.ssh is not None:
            ways[source] = node.ssh
    return ways
