"""A whole machine on a host of the test: a real systemd is its first process, sshd is one of its units.

Rules: it boots within the user namespace of the test, so it owns nothing of the machine that it runs on. That
one's files lie under it read-only; what it writes is its own. The one thing outside is a control group, an
empty folder in the hierarchy that systemd needs, which is removed at the end.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from tests.lab.namespaces import Host
from tests.lab.sshd import OWN_PROCESSES, Keys, Server, need_sshd

SYSTEMD = "/lib/systemd/systemd"
_GROUPS = "netprobe-test-"
_UNWANTED = (
    "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "systemd-logind.service", "dbus.service", "dbus.socket", "ssh.service",
)  # fmt: skip
"""What a namespace may not do, or what is not needed here."""
_SSHD_UNIT = """\
[Service]
ExecStartPre=/bin/mkdir -p /run/sshd
ExecStart={sshd}
StandardError=append:{log}
"""
_BOOT = """\
set -eu
mount --make-rprivate /
mount -t tmpfs new /mnt
mkdir /mnt/root
mount --rbind / /mnt/root
mount -o remount,ro,bind /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
# Units of this machine's own services are not ours to start.
for own in run dev tmp root var/log var/tmp var/cache lib/systemd/system-generators; do
    mount -t tmpfs -o mode=755 own $own
done
chmod 1777 tmp var/tmp
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir -p dev/pts dev/shm .{keys}
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs shm dev/shm
mount --bind {keys} .{keys}
mount --bind {disk}/units etc/systemd/system
mount --bind {disk}/lib var/lib
echo 6e657470726f6265746573746d616368 >run/machine-id
[ ! -e etc/machine-id ] || mount --bind run/machine-id etc/machine-id
pivot_root . mnt
umount -l /mnt
# As every manager of containers leaves it: units get their credentials through mounts that spread.
mount --make-rshared /
exec env -i container=test PATH="$PATH" {systemd} --system --unit=multi-user.target
"""


@cache
def why_no_systemd() -> str:
    """Why no systemd can boot here; empty where one can."""
    if shutil.which(SYSTEMD) is None:
        return "not installed: systemd"
    parent = _find_hierarchy()
    if parent is None:
        return "no cgroup2 hierarchy is mounted"
    try:
        _remove_group(_make_group(parent))
    except OSError as error:
        return f"no control group can be made in {parent}: {error.strerror}"
    return ""


def need_systemd() -> list[pytest.MarkDecorator]:
    """Skips, with the reason, where systemd cannot boot."""
    why = why_no_systemd()
    return [*need_sshd(), pytest.mark.skipif(bool(why), reason=why or "systemd boots")]


def _find_hierarchy() -> Path | None:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return next((Path(place) for _, place, kind, *_ in mounts if kind == "cgroup2"), None)


def _make_group(parent: Path) -> Path:
    """A control group of our own."""
    for left in parent.glob(f"{_GROUPS}*"):  # by a run that was killed
        if not Path(f"/proc/{left.name.removeprefix(_GROUPS)}").exists():
            _remove_group(left)
    path = parent / f"{_GROUPS}{os.getpid()}"
    path.mkdir(exist_ok=True)
    return path


def _remove_group(top: Path) -> None:
    """Remove a control group and those in it, deepest first, once the last process is out of it."""
    for _ in range(600):
        with suppress(OSError):
            for folder, _, _ in os.walk(top, topdown=False):
                Path(folder).rmdir()
            return
        time.sleep(0.05)
    raise AssertionError(f"{top}: something still runs in it")


class Machine(Server):
    """A host that booted systemd. ``/var/lib`` and the units in ``/etc`` survive when it is stopped."""

    def __init__(self, host: Host, keys: Keys, disk: Path) -> None:
        self._disk = disk
        wanted = disk / "units" / "multi-user.target.wants"
        wanted.mkdir(parents=True)
        (disk / "lib").mkdir()
        for unit in _UNWANTED:
            (disk / "units" / unit).symlink_to("/dev/null")
        (wanted / "sshd-of-test.service").symlink_to("../sshd-of-test.service")
        super().__init__(host, keys)

    def _command(self) -> list[str]:
        parent = _find_hierarchy()
        assert parent is not None, why_no_systemd()
        self._group = _make_group(parent)
        unit = _SSHD_UNIT.format(sshd=self._sshd, log=self.log)
        (self._disk / "units" / "sshd-of-test.service").write_text(unit)
        script = _BOOT.format(keys=self.keys.folder, disk=self._disk, systemd=SYSTEMD)
        join = ["sh", "-c", f'echo $$ >{self._group}/cgroup.procs && exec "$@"', "sh"]
        return [
            *join,
            *self.host.command(*OWN_PROCESSES, "--uts", "--ipc", "--cgroup", "sh", "-c", script),
        ]

    def stop(self) -> None:
        """Cut its power."""
        super().stop()
        _remove_group(self._group)

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit as systemd has them."""
        told = self.on(f"systemctl show {unit} {' '.join(f'-p {name}' for name in names)}")
        return dict(line.split("=", 1) for line in told.splitlines())
