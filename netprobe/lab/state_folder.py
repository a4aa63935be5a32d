"""The lab's folder outside: what commands need to find a lab, and what is left to read while it runs.

Rule: one folder per lab name, readable by its owner only; it exists exactly as long as the lab does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from netprobe.errors import InputError, SystemRefusedError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_SOCKET_PATH_MAX = 107  # sun_path, unix(7)
DEFAULT_NAME = "lab"


@dataclass(frozen=True, slots=True)
class LabFacts:
    """What ``lab.json`` tells."""

    name: str
    pid: int
    """Of the first process of the lab's PID namespace, as seen outside: when it dies, all of it is gone."""
    bus_port: int
    """On 127.0.0.1 outside, relayed to the hub."""
    interval_ns: int


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths of one lab."""

    root: Path

    @property
    def control(self) -> Path:
        """The Unix socket on which the supervisor takes orders."""
        return self.root / "control.sock"

    @property
    def facts(self) -> Path:
        """Written once, when the supervisor has been started."""
        return self.root / "lab.json"

    @property
    def inventory(self) -> Path:
        """What the lab is, in the format of a static inventory."""
        return self.root / "inventory.yaml"

    @property
    def operator_seed(self) -> Path:
        """The secret with which people outside ask the bus."""
        return self.root / "operator.seed"

    @property
    def keys(self) -> Path:
        """The public keys of everybody who may speak on the bus."""
        return self.root / "keys.json"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.root / "logs"

    def log(self, process: str) -> Path:
        """The log of one process."""
        return self.logs / f"{process.replace('/', '.')}.log"

    def agent_seed(self, agent: str) -> Path:
        """The secret of one agent."""
        return self.root / "seeds" / f"{agent.replace('/', '.')}.seed"

    def spool(self, agent: str) -> Path:
        """Where one agent keeps windows while the bus is away."""
        return self.root / "spool" / agent.replace("/", ".")

    @property
    def secrets(self) -> Path:
        """Keys and configurations of the tunnels' daemons, made for this lab."""
        return self.root / "tunnels"

    @property
    def data(self) -> Path:
        """The collector's."""
        return self.root / "data"

    def zone(self, cluster: str) -> Path:
        """The names a cluster's DNS server knows."""
        return self.root / "dns" / f"{cluster}.json"

    def denied_zones(self, cluster: str) -> Path:
        """The zones a cluster's DNS server does not forward at the moment, one per line."""
        return self.root / "dns" / f"{cluster}.denied"

    def read_facts(self) -> LabFacts | None:
        """The facts of the lab, or None where it is not (yet) there."""
        try:
            return LabFacts(**json.loads(self.facts.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise InputError("is not a lab's facts", where=str(self.facts)) from error

    def write_facts(self, facts: LabFacts) -> None:
        """Write the facts in one step, so that nobody reads half of them."""
        part = self.facts.with_suffix(".part")
        part.write_text(json.dumps(asdict(facts)) + "\n")
        part.replace(self.facts)

    def is_answered(self) -> bool:
        """Whether a supervisor listens."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
            try:
                asked.connect(str(self.control))
            except OSError:
                return False
        return True

    def remove(self) -> None:
        """Remove the folder with everything in it, and the folder of all labs when it was the last."""
        shutil.rmtree(self.root, ignore_errors=True)
        try:
            self.root.parent.rmdir()
        except OSError:
            return  # another lab stands beside it


def labs_folder() -> Path:
    """Where the folders of all labs of this user stand."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "netprobe"
    return Path("/tmp") / f"netprobe-{os.getuid()}"


def find_state(name: str) -> StateFolder:
    """The folder of the lab *name*, whether it exists or not."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a lab name (a-z, 0-9 and -, at most 32)", where="--name")
    state = StateFolder(labs_folder() / name)
    if len(str(state.control)) > _SOCKET_PATH_MAX:
        raise SystemRefusedError(f"{state.control} is too long for a socket; shorten XDG_RUNTIME_DIR")
    return state


def list_labs() -> tuple[str, ...]:
    """The names of all labs that have a folder."""
    folder = labs_folder()
    return tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()


def claim_state(name: str) -> StateFolder:
    """Make the folder of a new lab; one clear error where the name is taken."""
    state = find_state(name)
    parent = state.root.parent
    try:
        parent.mkdir(mode=0o700, exist_ok=True)
        owner = parent.stat()
    except OSError as error:
        raise SystemRefusedError(f"cannot make {parent}: {error.strerror}") from error
    if owner.st_uid != os.getuid() or owner.st_mode & 0o077:
        raise SystemRefusedError(f"{parent} is not ours alone; remove it or set XDG_RUNTIME_DIR")
    try:
        state.root.mkdir(mode=0o700)
    except FileExistsError as error:
        if is_alive(state):
            raise InputError(f"a lab named {name!r} is already up", where="--name") from error
        raise InputError(
            f"a lab named {name!r} died and left its files; `netprobe lab down --name {name}` removes them",
            where="--name",
        ) from error
    for folder in (state.logs, state.root / "seeds", state.root / "spool", state.root / "dns"):
        folder.mkdir()
    return state


def is_alive(state: StateFolder) -> bool:
    """Whether the lab's first process still runs (or its supervisor is just being started)."""
    if state.is_answered():
        return True
    facts = state.read_facts()
    return facts is not None and is_lab_process(facts.pid)


def is_lab_process(pid: int) -> bool:
    """Whether *pid* is a lab's process, and not a stranger who got its number later."""
    try:
        return b"netprobe.lab.supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
