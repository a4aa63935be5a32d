"""The script that installs our agent, run as an unprivileged user: what it leaves, whatever goes wrong."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import time
import zipfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from netprobe.deploy.hosts.agent import RunMode, parse_agent_state

SCRIPT = resources.files("netprobe.deploy.hosts").joinpath("agent_host.sh").read_text()
AS_USER = ["unshare", "-U", "--map-user=1000"]
SEED = "SU" + "A" * 56
LIVES = "import sys, time\nif '--version' not in sys.argv:\n    time.sleep(300)\n"
ENDS = "import sys\nif '--version' not in sys.argv:\n    sys.exit('the port is taken')\n"
BREAKS = "import no_such_library\n"


def why_not() -> str:
    tried = subprocess.run([*AS_USER, "id", "-u"], capture_output=True, text=True, check=False)
    return "" if tried.stdout == "1000\n" else f"no user namespaces: {tried.stderr.strip()}"


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "namespaces work")


def archive(main: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("__main__.py", main)
    return packed.getvalue()


def is_gone(pid: str) -> bool:
    """Whether it ended; one that was not reaped (a zombie) has an empty command line."""
    try:
        return not Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


class Machine:
    """A home folder, and the script run in it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.runtime = folder / "run"
        self.runtime.mkdir()
        self.base = self.home / ".local/share/netprobe-agent"

    def command(self, *words: str) -> list[str]:
        where = [f"HOME={self.home}", f"XDG_RUNTIME_DIR={self.runtime}"]
        return [*AS_USER, "env", *where, "sh", "-c", SCRIPT, "netprobe", *words]

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.command(*words), input=stdin, capture_output=True, timeout=60, check=False)

    def install(
        self, content: bytes, *, arrives: int | None = None, ca: bytes = b"", at: str = ""
    ) -> subprocess.CompletedProcess[bytes]:
        whole = f"{SEED}\n{base64.b64encode(ca).decode()}\n".encode() + content
        told = ("west/gw/host", "tls://10.0.0.1:4222", "9771", at)
        return self.run("install", hashlib.sha256(content).hexdigest(), *told, stdin=whole[:arrives])

    def state(self) -> RunMode | None:
        placed = parse_agent_state(self.run("state").stdout)
        return placed.runs if placed else None

    def left(self) -> list[str]:
        found = [*self.home.rglob("*"), *self.runtime.rglob("*")]
        return sorted(path.name for path in found if path.is_file() or path.name.startswith("netprobe"))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    here = Machine(tmp_path)
    yield here
    here.run("remove")


def test_an_installed_agent_runs_with_its_key_for_its_owner_only_and_goes_without_a_trace(
    machine: Machine,
) -> None:
    assert machine.state() is None
    done = machine.install(archive(LIVES))
    assert done.returncode == 0, done.stderr
    placed = parse_agent_state(done.stdout)
    assert placed is not None
    assert (placed.agent, placed.runs) == ("west/gw/host", RunMode.PROCESS)
    assert (machine.base / "seed").stat().st_mode & 0o777 == 0o600
    pid = (machine.base / "pid").read_text().strip()
    assert SEED.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert machine.run("remove").stdout == b"placed=no\n"
    assert machine.left() == []
    assert is_gone(pid)


@pytest.mark.parametrize("arrives", [0, 10, 60, 100])
def test_what_arrives_only_in_part_is_refused_and_leaves_nothing(machine: Machine, arrives: int) -> None:
    done = machine.install(archive(LIVES), arrives=arrives)
    assert done.returncode == 1
    assert b"arrived" in done.stderr
    assert machine.left() == []


@pytest.mark.parametrize(
    ("main", "said"), [(ENDS, b"the port is taken"), (BREAKS, b"does not run with this")]
)
def test_an_agent_that_cannot_run_is_refused_and_leaves_nothing(
    machine: Machine, main: str, said: bytes
) -> None:
    done = machine.install(archive(main))
    assert done.returncode == 1
    assert said in done.stderr
    assert machine.left() == []


@pytest.mark.parametrize("main", [ENDS, BREAKS])
def test_the_agent_that_was_there_runs_again_after_a_failure(machine: Machine, main: str) -> None:
    good = archive(LIVES)
    assert machine.install(good).returncode == 0
    before = machine.left()
    assert machine.install(archive(main)).returncode == 1
    assert machine.state() is RunMode.PROCESS
    assert machine.left() == before
    assert hashlib.sha256(good).hexdigest() in (machine.base / "facts").read_text()


def test_a_second_installation_replaces_the_first_and_keeps_what_it_had_spooled(machine: Machine) -> None:
    assert machine.install(archive(LIVES)).returncode == 0
    spooled = machine.home / ".local/share/netprobe-agent-spool/report"
    spooled.write_text("kept")
    old = (machine.base / "pid").read_text()
    assert machine.install(archive(LIVES + "# newer")).returncode == 0
    assert (machine.base / "pid").read_text() != old
    assert spooled.read_text() == "kept"


def test_what_a_power_cut_left_is_swept_by_the_next_who_comes(machine: Machine) -> None:
    machine.base.with_name("netprobe-agent.new").mkdir(parents=True)
    (machine.runtime / "netprobe-agent.abcdef").mkdir()
    machine.run("remove")
    assert machine.left() == []


def test_two_at_once_are_one_too_many(machine: Machine) -> None:
    with subprocess.Popen(
        machine.command("install", "0" * 64, "west/gw/host", "tls://h:1", "9771", ""),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as first:  # fmt: skip
        end = time.monotonic() + 60
        while not list(machine.runtime.iterdir()) and time.monotonic() < end:
            time.sleep(0.05)
        second = machine.install(archive(LIVES))
        assert first.stdin is not None
        first.stdin.close()
        first.wait()
    assert second.returncode == 1
    assert b"another deploy is under way" in second.stderr
    assert machine.left() == []


def test_the_authority_and_the_tunnels_end_reach_the_agent(machine: Machine) -> None:
    told = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    done = machine.install(archive(LIVES), ca=told, at="127.0.0.1:14222")
    assert done.returncode == 0, done.stderr
    assert (machine.base / "ca.crt").read_bytes() == told
    words = Path(f"/proc/{(machine.base / 'pid').read_text().strip()}/cmdline").read_bytes().split(b"\0")
    assert words[words.index(b"--bus") + 1] == b"tls://10.0.0.1:4222"
    assert words[words.index(b"--bus-at") + 1] == b"127.0.0.1:14222"
    assert words[words.index(b"--ca") + 1] == str(machine.base / "ca.crt").encode()
    placed = parse_agent_state(done.stdout)
    assert placed is not None
    assert placed.at == "127.0.0.1:14222"


def test_without_an_authority_the_systems_own_count(machine: Machine) -> None:
    done = machine.install(archive(LIVES))
    assert done.returncode == 0, done.stderr
    words = Path(f"/proc/{(machine.base / 'pid').read_text().strip()}/cmdline").read_bytes().split(b"\0")
    assert b"--ca" not in words
    assert b"--bus-at" not in words


def test_the_agent_that_runs_again_after_a_failure_knows_its_road(machine: Machine) -> None:
    assert machine.install(archive(LIVES), ca=b"old", at="127.0.0.1:14222").returncode == 0
    assert machine.install(archive(ENDS), ca=b"new").returncode == 1
    words = Path(f"/proc/{(machine.base / 'pid').read_text().strip()}/cmdline").read_bytes().split(b"\0")
    assert words[words.index(b"--bus-at") + 1] == b"127.0.0.1:14222"
    assert (machine.base / "ca.crt").read_bytes() == b"old"


def test_whoever_locks_the_folder_that_all_may_read_hinders_nobody(machine: Machine) -> None:
    """As any local user may with /var/lib; the lock lies where only its owner looks."""
    base = machine.base.parent
    base.mkdir(parents=True)
    with subprocess.Popen(["flock", "-n", str(base), "sleep", "300"]) as stranger:
        try:
            done = machine.install(archive(LIVES))
        finally:
            stranger.kill()
    assert done.returncode == 0, done.stderr


def test_a_lock_that_others_may_open_is_refused(machine: Machine) -> None:
    turn = machine.runtime / "netprobe-agent.turn"
    turn.mkdir(mode=0o755)
    done = machine.install(archive(LIVES))
    assert done.returncode == 1
    assert b"is not ours to lock" in done.stderr
    turn.rmdir()


def test_a_lock_left_by_a_power_cut_is_taken(machine: Machine) -> None:
    (machine.runtime / "netprobe-agent.turn").mkdir(mode=0o700)
    assert machine.install(archive(LIVES)).returncode == 0
    assert not (machine.runtime / "netprobe-agent.turn").exists()
