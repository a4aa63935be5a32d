"""What tests and clusters may have left behind: objects in a cluster, processes and the like on the machine.

Rule: every file of tests leaves the clusters as it found them, and the clusters the machine; a file that does
not is named.
"""

from __future__ import annotations

from pathlib import Path

_KINDS = (
    "nodes,namespaces,clusterroles,clusterrolebindings,priorityclasses,customresourcedefinitions,services,"
    "deployments,daemonsets"
)
LISTED = ("get", _KINDS, "--all-namespaces", "-o", "name")
"""What kubectl is asked for."""
_OWN = frozenset({"admin", "edit", "view", "cluster-admin", "default", "kubernetes"})


def made_by_people(told: str) -> frozenset[str]:
    """The objects in kubectl's answer that a control plane does not make by itself, in its own time."""
    return frozenset(line for line in told.split() if not _is_made_by_itself(line.rpartition("/")[2]))


def _is_made_by_itself(name: str) -> bool:
    return name.startswith(("system:", "system-", "kube-")) or name in _OWN


def pid_space_of_child(pid: int) -> str:
    """The PID namespace of the children of *pid*, as a link of ``/proc`` says it."""
    return str(Path(f"/proc/{pid}/ns/pid_for_children").readlink())


def find_members(space: str) -> list[str]:
    """The programs that run in a PID namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str((entry / "ns" / "pid").readlink()) == space:
                found.append((entry / "comm").read_text().strip())
        except OSError:
            continue  # it ended meanwhile
    return found


def find_left_on_machine(holder: int, space: str) -> list[str]:
    """What the clusters of *holder*, which has ended, left: processes, control groups, mounts, interfaces."""
    left = [f"process {name}" for name in find_members(space)]
    groups = Path("/sys/fs/cgroup")
    for pattern in (f"netprobe-e2e.{holder}", f"*/netprobe-e2e.{holder}"):
        left += [f"control group {group}" for group in groups.glob(pattern)]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    left += [f"mount {line.split()[4]}" for line in mounts if "/run/netprobe-e2e" in line]
    left += [f"interface {path.name}" for path in Path("/sys/class/net").glob("lan[12]")]
    return left
