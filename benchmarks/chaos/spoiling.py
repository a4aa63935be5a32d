"""Files as a sick disk leaves them."""

from __future__ import annotations

import random
from pathlib import Path

WAYS = ("head", "middle", "zeroed")
_BYTES = 64
_SEED = 4


def list_files(data: Path) -> list[Path]:
    """The files of the stream of reports, of its consumer, and of the history."""
    (stream,) = data.glob("nats/jetstream/*/streams/np1_windows")
    return [
        *(stream / name for name in ("meta.inf", "meta.sum", "msgs/1.blk", "msgs/index.db")),
        *(stream / "obs" / "collector" / name for name in ("meta.inf", "meta.sum", "o.dat")),
        data / "history.db",
        data / "history.db-wal",
    ]


def spoil(file: Path, way: str) -> bool:
    """Spoil *file* (where there are several blocks, the newest); whether there was something to spoil."""
    if file.suffix == ".blk":
        file = max(file.parent.glob("*.blk"), key=lambda block: int(block.stem), default=file)
    try:
        content = bytearray(file.read_bytes())
    except FileNotFoundError:
        return False
    if not content:
        return False
    noise = random.Random(_SEED).randbytes(_BYTES)
    match way:
        case "head":
            content[:_BYTES] = noise[: len(content)]
        case "middle":
            middle = len(content) // 2
            content[middle : middle + _BYTES] = noise[: len(content) - middle]
        case _:
            content = bytearray(len(content))
    file.write_bytes(content)
    return True
