"""A lab comes, stands beside others, and goes; outside nothing ever changes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from netprobe.errors import InputError
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from netprobe.lab.state_folder import find_state, labs_folder
from tests.lab.conftest import Lab
from tests.patience import wait_until

NETPROBE = [sys.executable, "-m", "netprobe"]


def run(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **settings}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


@contextlib.contextmanager
def short_lab(name: str, **wishes: int) -> Iterator[str]:
    start_lab(Start(name, with_agents=False, end_with_pid=wishes.get("end_with_pid")), notify=print)
    try:
        yield name
    finally:
        take_down(name)


def outside() -> dict[str, str]:
    """Everything of the network and the mounts that this process can see from outside."""
    commands = {
        "links": "ip -o link show | cut -d: -f2,3 | cut -d' ' -f1-3",
        "addresses": "ip -o -4 addr; ip -o -6 addr | grep -v temporary | sed 's/valid_lft.*//'",
        "routes": "ip -4 route show table all; ip -6 route show table all | sed 's/expires.*//'",
        "rules": "ip rule; ip -6 rule",
        "nft": "nft list ruleset 2>&1",
        "named": "ls /run/netns /var/run/wireguard 2>/dev/null",
        "resolver": "cat /etc/resolv.conf",
    }
    found = {name: run("sh", "-c", command).stdout for name, command in commands.items()}
    found["mounts"] = Path("/proc/self/mounts").read_text()
    found["sysctls"] = run(
        "sh", "-c", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/rp_filter"
    ).stdout
    return found


def processes_of(pid_namespace: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if str((folder / "ns/pid").readlink()) == pid_namespace:
                    found.append(int(folder.name))
    return found


def pid_namespace_of(name: str) -> str:
    facts = find_state(name).read_facts()
    assert facts is not None
    return str(Path(f"/proc/{facts.pid}/ns/pid").readlink())


def test_up_and_down_change_nothing_outside_and_leave_nothing_behind() -> None:
    name = f"o-{os.getpid()}"
    before = outside()
    with short_lab(name):
        during = outside()
        namespace = pid_namespace_of(name)
        members = processes_of(namespace)
        assert len(members) >= 9  # first process, supervisor, four tunnel daemons, three DNS servers
        own = Path("/proc/self/ns/net").readlink()
        assert all(Path(f"/proc/{pid}/ns/net").readlink() != own for pid in members)
        assert during == before
    assert outside() == before
    wait_until(
        "its processes are gone", lambda: processes_of(namespace) == []
    )  # the machine's init has to reap the first one
    assert not find_state(name).root.exists()


def test_the_only_socket_outside_is_on_loopback() -> None:
    name = f"s-{os.getpid()}"
    with short_lab(name):
        members = processes_of(pid_namespace_of(name))
        mine = {
            str(path.readlink())
            for pid in members
            for path in Path(f"/proc/{pid}/fd").iterdir()
            if path.is_symlink() and str(path.readlink()).startswith("socket:")
        }
        numbers = {text.removeprefix("socket:[").removesuffix("]") for text in mine}
        outside_sockets = [
            line.split()
            for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        ]
        held = [columns for columns in outside_sockets if columns[9] in numbers]
        assert [columns[1].partition(":")[0] for columns in held] == ["0100007F"]  # 127.0.0.1


@pytest.mark.slow  # a lab of its own for each
@pytest.mark.parametrize("victim", ["first process", "supervisor"])
def test_a_killed_lab_leaves_only_a_folder_that_down_removes(victim: str) -> None:
    name = f"k-{os.getpid()}"
    with short_lab(name):
        namespace = pid_namespace_of(name)
        facts = find_state(name).read_facts()
        assert facts is not None
        first = facts.pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        os.kill(first if victim == "first process" else int(children[0]), signal.SIGKILL)
        wait_until("its processes are gone", lambda: processes_of(namespace) == [])
        with pytest.raises(InputError, match=r"crashed and left files; `netprobe lab down"):
            start_lab(Start(name, with_agents=False), notify=print)
        with pytest.raises(InputError, match="no lab named"):
            LabClient(name).status()
        assert take_down(name)
    assert not find_state(name).root.exists()


@pytest.mark.slow  # a lab of its own
def test_a_lab_ends_with_the_process_it_was_tied_to() -> None:
    name = f"e-{os.getpid()}"
    with subprocess.Popen(["sleep", "600"]) as tied, short_lab(name, end_with_pid=tied.pid):
        namespace = pid_namespace_of(name)
        tied.kill()
        wait_until("its processes are gone", lambda: processes_of(namespace) == [])
        wait_until("its folder is gone", lambda: not find_state(name).root.exists())


def test_two_labs_stand_side_by_side(lab: Lab) -> None:
    name = f"b-{os.getpid()}"
    with short_lab(name):
        other = LabClient(name)
        other.add_fault("gateway-down", {"cluster": "prod-us-west-1"})
        target = lab.plan.host("staging-eu-central-1/w1/pod").address("eth0", 4)
        assert lab.ask("prod-us-west-1/w1/pod", f"ping {target}") == ["answered 2/2"]
        code, _ = other.run("prod-us-west-1/w1/pod", "ping", "-c1", "-W1", target)
        assert code == 1
        assert lab.client.status().faults == []
    assert lab.client.status().name == lab.name


def test_a_name_that_is_taken_is_one_clear_line(lab: Lab) -> None:
    told = run(*NETPROBE, "lab", "up", "--no-agents", "--name", lab.name)
    assert told.returncode == 2
    assert told.stderr == f"netprobe: --name: a lab named '{lab.name}' is already up\n"
    assert lab.client.status().name == lab.name


@pytest.mark.parametrize("name", ["../x", "A", "", "x" * 40])
def test_a_name_that_cannot_be_a_folder_is_refused(name: str) -> None:
    told = run(*NETPROBE, "lab", "up", "--no-agents", "--name", name)
    assert told.returncode == 2
    assert "is not a lab name" in told.stderr


def test_a_wrong_topology_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(
        "wan: {transits: [t], cidrs: [100.64.0.0/20, 'fd00::/48']}\nhub: {name: ops}\nclusters: []\n"
    )
    told = run(*NETPROBE, "lab", "up", "--topology", str(path), "--name", "never")
    assert told.returncode == 2
    assert told.stderr.startswith(f"netprobe: {path}:2:1: hub: ")
    assert told.stderr.count("\n") == 1
    assert not find_state("never").root.exists()


def test_a_small_topology_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(
        """
wan: {transits: [backbone], cidrs: [100.64.0.0/22, "fd00:64::/112"]}
hub: {name: hq, transit: backbone, cidrs: [10.9.0.0/28, "fd00:9::/120"]}
clusters:
  - name: a
    transit: backbone
    overlay: vxlan
    node_cidrs: [10.1.0.0/24, "fd00:1::/64"]
    pod_cidrs: [10.101.0.0/16, "fd00:101::/56"]
    service_cidrs: [10.201.0.0/28, "fd00:201::/124"]
    nodes: [{name: edge-node, role: gateway, dns: true}]
  - name: b
    transit: backbone
    node_cidrs: [10.2.0.0/24, "fd00:2::/64"]
    pod_cidrs: [10.102.0.0/16, "fd00:102::/56"]
    service_cidrs: [10.202.0.0/28, "fd00:202::/124"]
    nodes: [{name: n1, role: gateway}]
links: [{source: a, target: b, kind: direct, mtu: 1500}]
"""
    )
    name = f"y-{os.getpid()}"
    start_lab(Start(name, topology=path, with_agents=False), notify=print)
    try:
        code, told = LabClient(name).run("a/edge-node/pod", "ping", "-c1", "-W1", "10.102.0.10")
        assert code == 0, told
    finally:
        take_down(name)


# --- commands inside ---------------------------------------------------------------------------


def lab_exec(lab: Lab, host: str, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*NETPROBE, "lab", "exec", "--name", lab.name, host, "--", *command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_a_command_inside_has_our_input_output_and_exit_code(lab: Lab) -> None:
    told = lab_exec(lab, "ops", "sh", "-c", "cat; echo wrong >&2; exit 7", stdin="to and fro\n")
    assert (told.returncode, told.stdout, told.stderr) == (7, "to and fro\n", "wrong\n")


def test_a_command_killed_inside_tells_so_as_a_shell_does(lab: Lab) -> None:
    assert lab_exec(lab, "ops", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_a_node_may_be_named_like_its_host_plane_agent(lab: Lab) -> None:
    told = lab_exec(lab, "dev-on-premise/w1/host", "ip", "-4", "-br", "addr", "show", "eth0")
    assert "10.13.0.12/24" in told.stdout


def test_an_unknown_host_is_one_clear_line(lab: Lab) -> None:
    told = lab_exec(lab, "prod-us-west-1/w9", "true")
    assert told.returncode == 2
    assert told.stderr.startswith("netprobe: unknown host 'prod-us-west-1/w9'")


def test_a_command_ends_when_its_caller_does(lab: Lab) -> None:
    mark = f"98765.{os.getpid()}"
    caller = subprocess.Popen([*NETPROBE, "lab", "exec", "--name", lab.name, "ops", "--", "sleep", mark])

    def runs() -> bool:
        return run("pgrep", "-fx", f"sleep {re.escape(mark)}").returncode == 0

    wait_until("the command runs", runs)
    caller.kill()
    caller.wait()
    wait_until("the command has ended", lambda: not runs())


def test_status_fits_a_terminal_and_has_a_machine_form(lab: Lab) -> None:
    told = run(*NETPROBE, "lab", "status", "--name", lab.name)
    assert all(len(line) <= 80 for line in told.stdout.splitlines() if "/netprobe" not in line)
    assert "prod-us-west-1/gw/pod" in told.stdout
    status = json.loads(run(*NETPROBE, "lab", "status", "--name", lab.name, "-o", "json").stdout)
    assert {process["state"] for process in status["processes"]} == {"running"}


def test_the_bus_is_reached_from_outside_over_loopback(lab: Lab) -> None:
    """A stand-in listens where the collector's bus would; what it says comes out on 127.0.0.1."""
    facts = find_state(lab.name).read_facts()
    assert facts is not None
    script = (
        "import socket; s = socket.create_server(('10.255.0.2', 4222)); print('listening', flush=True); "
        "c, _ = s.accept(); c.sendall(b'INFO ' + c.recv(99)); c.close()"
    )
    command = [*NETPROBE, "lab", "exec", "--name", lab.name, "ops", "--", sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as standing_in:
        assert standing_in.stdout is not None
        assert standing_in.stdout.readline() == "listening\n"
        with socket.create_connection(("127.0.0.1", facts.bus_port), timeout=5) as asking:
            asking.sendall(b"hello")
            assert asking.recv(100) == b"INFO hello"


# --- bad surroundings --------------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with links to the programs the lab uses, for a PATH from which some can be missing."""
    for program in ("nft", "nsenter", "wg", "wireguard-go", "ping", "sh", "cat"):
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not installed")
        (tmp_path / program).symlink_to(found)
    return tmp_path


@pytest.mark.parametrize("program", ["nft", "nsenter"])
def test_a_missing_program_is_one_clear_line(programs: Path, program: str) -> None:
    (programs / program).unlink()
    told = run(*NETPROBE, "lab", "up", "--name", "never", PATH=str(programs))
    assert told.returncode == 2
    assert told.stderr.startswith(f"netprobe: {program} is not installed (Debian package ")
    assert not find_state("never").root.exists()


def test_without_wireguard_tunnels_are_vxlan_with_a_notice(programs: Path) -> None:
    (programs / "wireguard-go").unlink()
    name = f"v-{os.getpid()}"
    told = run(*NETPROBE, "lab", "up", "--no-agents", "--name", name, PATH=str(programs))
    try:
        status = LabClient(name).status()
        if status.mechanism == "wireguard":
            pytest.skip("the kernel does WireGuard")
        assert (
            "note: neither kernel WireGuard nor wireguard-go is available: tunnels are VXLAN" in told.stderr
        )
        assert status.mechanism == "vxlan"
        for address in ("10.112.1.10", "fd00:112:0:1::a"):
            ping = ["ping", "-c1", "-W1", "-M", "do", "-s", "1372", address]
            code, said = LabClient(name).run("prod-us-west-1/w1/pod", *ping)
            assert code == 0, said
        LabClient(name).add_fault(
            "tunnel-down", {"source": "prod-us-west-1", "target": "staging-eu-central-1"}
        )
        code, _ = LabClient(name).run("prod-us-west-1/w1/pod", "ping", "-c1", "-W1", "10.112.1.10")
        assert code == 1
        LabClient(name).remove_fault("all")
        code, said = LabClient(name).run("prod-us-west-1/w1/pod", "ping", "-c1", "-W1", "10.112.1.10")
        assert code == 0, said
    finally:
        take_down(name)


NOBODY = "65534"


def as_nobody(script: str, runtime: Path, *, within: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run *script* without any privilege, in a mount namespace where our interpreter cannot be reached."""
    interpreter = Path(sys.executable).resolve()
    home = next((one for one in interpreter.parents if one.stat().st_mode & 0o001 == 0), None)
    reach = ""
    if home is not None:
        below = home / interpreter.relative_to(home).parts[0]
        kept = runtime / "kept"
        reach = (
            f"mkdir -p {kept} && mount --bind {below} {kept} && mount -t tmpfs -o mode=755 none {home}"
            f" && mkdir {below} && mount --move {kept} {below} && "
        )
    drop = f"exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups env XDG_RUNTIME_DIR={runtime}/run"
    python = f"HOME={runtime}/run NETPROBE='{sys.executable} -m netprobe'"
    command = f'{reach} {drop} {python} sh -c "$SCRIPT"'
    return subprocess.run(
        [*within, "unshare", "--mount", "--propagation", "private", "sh", "-c", command],
        env={**os.environ, "SCRIPT": script, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        cwd=Path(__file__).parents[2],
    )


@pytest.fixture
def runtime() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("we are without privilege already: every other test shows the same")
    folder = Path(f"/tmp/np-rootless-{os.getpid()}")
    (folder / "run").mkdir(parents=True)
    shutil.chown(folder / "run", int(NOBODY), int(NOBODY))
    yield folder
    shutil.rmtree(folder)


def test_a_lab_needs_no_root(runtime: Path) -> None:
    tried = as_nobody("$NETPROBE --version && unshare -Urn true", runtime)
    if tried.returncode != 0:
        pytest.skip(f"a user without privilege gets no namespaces here: {tried.stderr.strip()}")
    told = as_nobody(
        "id -u; $NETPROBE lab up --no-agents --name rootless || exit 1; "
        "$NETPROBE lab status --name rootless | head -1; "
        "$NETPROBE lab exec --name rootless prod-us-west-1/w1/pod -- ping -c1 -W1 10.112.1.10 || exit 1; "
        "$NETPROBE lab exec --name rootless prod-us-west-1/w1/pod -- ping -c1 -W1 fd00:113:0:1::a || exit 1; "
        "$NETPROBE lab fault add --name rootless snat cluster=prod-us-west-1 || exit 1; "
        "$NETPROBE lab fault remove --name rootless all || exit 1; "
        "$NETPROBE lab down --name rootless; ls -A $XDG_RUNTIME_DIR",
        runtime,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == NOBODY
    assert "(rootless)" in told.stdout
    assert "removed snat-1" in told.stdout
    assert lines[-1] == "lab 'rootless' is down"


def test_without_user_namespaces_one_line_says_so(runtime: Path) -> None:
    within = [sys.executable, str(Path(__file__).with_name("no_user_namespaces.py"))]
    told = as_nobody("$NETPROBE lab up --no-agents --name refused; echo $?", runtime, within=within)
    assert told.stdout.splitlines() == ["2"], told.stdout + told.stderr
    assert "user namespace" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_no_folder_of_labs_is_left(lab: Lab) -> None:
    assert [path.name for path in labs_folder().iterdir() if path.name == lab.name] == [lab.name]
