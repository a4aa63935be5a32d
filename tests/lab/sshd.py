"""Real OpenSSH servers in the namespaces of a test, with keys made for the run."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from netprobe.model.ssh import SshHop
from tests.lab.namespaces import Host, need_namespaces

ASK = str(Path(__file__).parent / "ssh_asker.py")


def why_no_sshd() -> str:
    """Why no sshd can run here; empty where it can."""
    missing = [tool for tool in ("/usr/sbin/sshd", "ssh-keygen") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: openssh-server)"
    return "" if os.geteuid() == 0 else "sshd changes users, and only root can map them into a namespace"


def need_sshd() -> list[pytest.MarkDecorator]:
    """Skips, with the reason, where sshd cannot run."""
    return [need_namespaces(), pytest.mark.skipif(bool(why_no_sshd()), reason=why_no_sshd() or "sshd works")]


class Keys:
    """Keys made for the run: ours, and one for each server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = self.make("client")
        self.authority = self.make("authority")

    def make(self, name: str) -> Path:
        """A new key pair; the path of its private half."""
        path = self.folder / name
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True
        )
        return path

    def certify(self, name: str) -> tuple[Path, Path]:
        """A key that only its certificate lets in as root, and the certificate."""
        key = self.make(name)
        subprocess.run(
            ["ssh-keygen", "-q", "-s", str(self.authority), "-I", name, "-n", "root", f"{key}.pub"],
            check=True,
        )
        return key, self.folder / f"{name}-cert.pub"

    def public(self, path: Path) -> str:
        """The public half: kind and key, without the comment."""
        return " ".join(path.with_suffix(".pub").read_text().split()[:2])

    def secrets(self) -> list[str]:
        """The lines of every private key: what must never be seen anywhere."""
        keys = [path for path in self.folder.iterdir() if path.with_suffix(".pub") != path
                and path.with_suffix(".pub").exists()]  # fmt: skip
        return [line for key in keys for line in key.read_text().splitlines() if "-----" not in line]


_EMPTY_PROFILE = "{ [ ! -e ~/.bashrc ] || mount --bind /dev/null ~/.bashrc; }"
"""bash reads it for every command over SSH: what a developer keeps there is not what is tested."""


def configure(keys: Keys, name: str, key: Path) -> Path:
    """The path of an sshd's configuration: our key lets in as root, nothing else does."""
    path = keys.folder / f"sshd-{name}"
    path.write_text(
        f"HostKey {key}\nAuthorizedKeysFile {keys.client}.pub\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nPidFile none\n"
        f"TrustedUserCAKeys {keys.authority}.pub\n"
        "LogLevel DEBUG1\nAcceptEnv LC_*\n"  # what a client asks for is seen
        "Subsystem sftp internal-sftp\n"  # MaxStartups stays at its default, as people have it
    )
    return path


OWN_PROCESSES = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")
"""What a host starts, our agent above all, ends with it; it ends with the test run, even a killed one."""


class Server:
    """One sshd on one host, as root, with its own ``/run``; the first of its own processes."""

    def __init__(self, host: Host, keys: Keys, *, before: str = "true") -> None:
        self.host, self.keys = host, keys
        self.key = keys.make(f"host-{host.name}")
        self.log = keys.folder / f"log-{host.name}"
        self._sshd = f"/usr/sbin/sshd -D -e -f {configure(keys, host.name, self.key)}"
        self._before = before
        self.boot()

    def boot(self) -> None:
        """Start it; it lets people in when this returns."""
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
            )
        for _ in range(1200):
            if "Server listening" in self.log.read_text():
                (self._pid,) = children_of(self._process.pid)
                return
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"{self.host.name}: sshd does not listen: {self.log.read_text()}")

    def _command(self) -> list[str]:
        script = f"mount -t tmpfs run /run && mkdir /run/sshd && {_EMPTY_PROFILE} && {self._before} && "
        return self.host.command(*OWN_PROCESSES, "--mount-proc", "sh", "-c", f"{script} exec {self._sshd}")

    def on(self, script: str) -> str:
        """Run a script inside the host: its files, its processes."""
        return self.host.run("nsenter", "-t", str(self._pid), "-m", "-p", "sh", "-c", script)

    def send_signal(self, number: signal.Signals) -> None:
        """To the sshd that lets people in."""
        os.kill(self._pid, number)

    def send_sessions(self, number: signal.Signals) -> None:
        """To the sshd processes that serve connections; what else was left to the first process is spared."""
        sessions = [pid for pid in children_of(self._pid) if _name_of(pid) == "sshd"]
        assert sessions
        for pid in sessions:
            os.kill(pid, number)

    def hop(self, address: str) -> SshHop:
        """How it is reached at *address*, with its key pinned."""
        return SshHop(address, user="root", key=str(self.keys.client), host_key=self.keys.public(self.key))

    def stop(self) -> None:
        """End it, and everything that it started."""
        self._process.kill()
        self._process.wait()


def children_of(pid: int) -> list[int]:
    """The processes that *pid* has, as we see them."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _name_of(pid: int) -> str:
    with suppress(OSError):  # it ended meanwhile
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


class Door:
    """A port of our loopback behind which an sshd stands in a closed network, one process per connection.

    *enter* is the command that enters that network's namespace (``nsenter …``). sshd inherits the connection
    (``sshd -i``), so not a packet goes from one namespace to the other.
    """

    def __init__(self, enter: Sequence[str], keys: Keys, name: str) -> None:
        self._keys, self._key = keys, keys.make(f"host-{name}")
        config = configure(keys, name, self._key)
        self.log = keys.folder / f"log-{name}"
        self.log.touch()  # a reader may come before the thread does
        script = f"mount -t tmpfs run /run && mkdir /run/sshd && exec /usr/sbin/sshd -i -e -f {config}"
        self._command = [*enter, "unshare", "-m", "sh", "-c", script]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        sessions = []
        with self.log.open("w") as log, suppress(OSError):  # the socket is shut down: see close
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    ends = connection.fileno()
                    sessions.append(subprocess.Popen(self._command, stdin=ends, stdout=ends, stderr=log))
        for session in sessions:
            session.terminate()
            session.wait()

    def hop(self) -> SshHop:
        """How it is reached, with its key pinned."""
        port: int = self._listening.getsockname()[1]
        pinned = self._keys.public(self._key)
        return SshHop("127.0.0.1", user="root", port=port, key=str(self._keys.client), host_key=pinned)

    def close(self) -> None:
        """Refuse new logins, and end every session."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()


def ask_from(host: Host, document: str, *words: str) -> Sequence[str]:
    """Run ``ask_ssh.py`` on *host*; the lines that it printed."""
    return host.run(sys.executable, ASK, *words, stdin=document).splitlines()
