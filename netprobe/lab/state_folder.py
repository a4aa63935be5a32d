"""The lab's folder outside the namespaces: files by which commands find a lab, keys, logs and data.

Rule: one folder per lab name, readable only by its owner; it exists exactly as long as the lab.
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
    """Contents of ``lab.json``."""

    name: str
    pid: int
    """Outer number of the first process of the lab's PID namespace; when it exits, the lab ends."""
    bus_port: int
    """On 127.0.0.1 outside, relayed to the hub."""
    interval_ns: int


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The paths of one lab."""

    root: Path

    @property
    def control(self) -> Path:
        """The Unix socket on which the supervisor accepts requests."""
        return self.root / "control.sock"

    @property
    def facts(self) -> Path:
        """The lab's facts, written once when the supervisor has started."""
        return self.root / "lab.json"

    @property
    def inventory(self) -> Path:
        """The lab as an inventory file."""
        return self.root / "inventory.yaml"

    @property
    def operator_seed(self) -> Path:
        """The operator's nkey seed for the bus."""
        return self.root / "operator.seed"

    @property
    def keys(self) -> Path:
        """The public keys of all bus users."""
        return self.root / "keys.json"

    @property
    def bus_ca(self) -> Path:
        """The certificate of the authority that signed the bus's, made for this lab."""
        return self.root / "bus-ca.crt"

    @property
    def bus_certificate(self) -> Path:
        """The bus's certificate."""
        return self.root / "bus.crt"

    @property
    def bus_key(self) -> Path:
        """The private key of the bus's certificate."""
        return self.root / "bus.key"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.root / "logs"

    def log(self, process: str) -> Path:
        """The log of one process."""
        return self.logs / f"{process.replace('/', '.')}.log"

    def agent_seed(self, agent: str) -> Path:
        """The nkey seed of one agent."""
        return self.root / "seeds" / f"{agent.replace('/', '.')}.seed"

    def spool(self, agent: str) -> Path:
        """The spool of one agent, for reports while the bus is down."""
        return self.root / "spool" / agent.replace("/", ".")

    @property
    def secrets(self) -> Path:
        """Keys and configurations of the tunnels' daemons, made for this lab."""
        return self.root / "tunnels"

    @property
    def data(self) -> Path:
        """The collector's data folder."""
        return self.root / "data"

    def zone(self, cluster: str) -> Path:
        """The zone file of a cluster's DNS server."""
        return self.root / "dns" / f"{cluster}.json"

    def denied_zones(self, cluster: str) -> Path:
        """The zones that a cluster's DNS server does not forward now, one per line."""
        return self.root / "dns" / f"{cluster}.denied"

    def read_facts(self) -> LabFacts | None:
        """The facts of the lab, or None if they are not written (yet)."""
        try:
            return LabFacts(**json.loads(self.facts.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise InputError("is not a valid lab.json", where=str(self.facts)) from error

    def write_facts(self, facts: LabFacts) -> None:
        """Write the facts atomically."""
        part = self.facts.with_suffix(".part")
        part.write_text(json.dumps(asdict(facts)) + "\n")
        part.replace(self.facts)

    def is_answered(self) -> bool:
        """Whether a supervisor is listening."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            try:
                client.connect(str(self.control))
            except OSError:
                return False
        return True

    def remove(self) -> None:
        """Remove the folder with everything in it, and the folder of all labs when it was the last."""
        shutil.rmtree(self.root, ignore_errors=True)
        try:
            self.root.parent.rmdir()
        except OSError:
            return  # there is another lab


def labs_folder() -> Path:
    """The parent folder of all labs of this user."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime) / "netprobe"
    return Path("/tmp") / f"netprobe-{os.getuid()}"


def find_state(name: str) -> StateFolder:
    """The folder of the lab *name*, which may not exist."""
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
    """Make the folder of a new lab; :class:`InputError` if the name is taken."""
    state = find_state(name)
    parent = state.root.parent
    try:
        parent.mkdir(mode=0o700, exist_ok=True)
        owner = parent.stat()
    except OSError as error:
        raise SystemRefusedError(f"cannot make {parent}: {error.strerror}") from error
    if owner.st_uid != os.getuid() or owner.st_mode & 0o077:
        raise SystemRefusedError(f"{parent} is accessible to other users; remove it or set XDG_RUNTIME_DIR")
    try:
        state.root.mkdir(mode=0o700)
    except FileExistsError as error:
        if is_alive(state):
            raise InputError(f"a lab named {name!r} is already up", where="--name") from error
        raise InputError(
            f"a lab named {name!r} crashed and left files; `netprobe lab down --name {name}` removes them",
            where="--name",
        ) from error
    for folder in (state.logs, state.root / "seeds", state.root / "spool", state.root / "dns"):
        folder.mkdir()
    return state


def is_alive(state: StateFolder) -> bool:
    """Whether the lab's first process is running, or its supervisor is starting."""
    if state.is_answered():
        return True
    facts = state.read_facts()
    return facts is not None and is_lab_process(facts.pid)


def is_lab_process(pid: int) -> bool:
    """Whether *pid* is a process of a lab, and not another one that reused its number."""
    try:
        return b"netprobe.lab.supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
