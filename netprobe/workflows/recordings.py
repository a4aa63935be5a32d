"""``--pcap`` for commands that put many questions: what agents recorded, gathered into one file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from netprobe.echo import echo
from netprobe.model.names import AgentId
from netprobe.model.recorded_packets import PacketRecording


@dataclass(slots=True)
class PacketBook:
    """What each agent recorded."""

    path: Path
    recordings: list[PacketRecording] = field(default_factory=list)
    silent: dict[AgentId, str] = field(default_factory=dict)
    """Agents that recorded nothing, and why."""

    def take(self, agent: AgentId, recording: PacketRecording | None) -> None:
        """Keep what came with one answer."""
        if recording is None:
            self.silent[agent] = "its build records no packets"
        elif recording.refused:
            self.silent[agent] = str(recording.refused)
        else:
            self.recordings.append(recording)

    def write(self) -> None:
        """Write the file, and say on standard error what is not in it."""
        from netprobe.craft.capture import write_recordings  # noqa: PLC0415 - Scapy, where it is asked for

        written = write_recordings(self.path, self.recordings)
        echo(f"{self.path}: {written} packets", err=True)
        if missed := sum(each.missed for each in self.recordings):
            echo(f"{self.path}: {missed} more were not kept, because an answer has room for few", err=True)
        for agent, why in sorted(self.silent.items()):
            echo(f"{self.path}: nothing of {agent}: {why}", err=True)
