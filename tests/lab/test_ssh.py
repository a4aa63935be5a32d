"""Real sshd on real hosts: through bastions, against wrong keys, and beside hosts that hang."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from netprobe.model.ssh import SshAccess, SshHop
from tests.lab.namespaces import Host, Namespaces
from tests.lab.sshd import Keys, Server, ask_from, need_sshd

pytestmark = need_sshd()

SILENT = (
    "import socket, time; s = socket.socket(); s.bind(('10.1.0.2', 2222)); s.listen(); "
    "print('up', flush=True); kept = [s.accept()]; time.sleep(250)"
)


@dataclass
class Way:
    """ops – bastion – inner – gateway; each knows its neighbours only."""

    ops: Host
    bastion: Server
    inner: Server
    gateway: Server
    keys: Keys

    def ask(
        self,
        accesses: dict[str, SshAccess],
        command: str = "kernel",
        seconds: str = "5",
        config: str = "/nonexistent",
    ) -> dict[str, object]:
        document = msgspec.json.encode(accesses).decode()
        lines = ask_from(self.ops, document, command, seconds, config)
        return dict(json.loads(line) for line in lines)

    @property
    def to_bastion(self) -> SshAccess:
        return SshAccess(self.bastion.hop("10.1.0.2"), agent=False)

    @property
    def to_inner(self) -> SshAccess:
        return SshAccess(self.inner.hop("10.2.0.2"), (self.to_bastion.target,), agent=False)

    @property
    def to_gateway(self) -> SshAccess:
        jumps = (self.to_bastion.target, self.to_inner.target)
        return SshAccess(self.gateway.hop("10.3.0.2"), jumps, agent=False)


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    with Namespaces(all_users=True) as network:
        ops, bastion, inner, gateway = (network.host(name) for name in ("ops", "bastion", "inner", "gateway"))
        for number, (one, other) in enumerate(((ops, bastion), (bastion, inner), (inner, gateway)), start=1):
            network.link(one, other, f"10.{number}.0.0/24", f"fd00:{number}::/64")
        keys = Keys(tmp_path_factory.mktemp("keys"))
        servers = [Server(host, keys) for host in (bastion, inner, gateway)]
        try:
            yield Way(ops, servers[0], servers[1], servers[2], keys)
        finally:
            for server in servers:
                server.stop()


def test_a_gateway_answers_directly_through_one_and_through_two_bastions(way: Way) -> None:
    told = way.ask({"none": way.to_bastion, "one": way.to_inner, "two": way.to_gateway}, "links")
    names = {}
    for name, said in told.items():
        assert isinstance(said, list), said
        names[name] = {link["ifname"] for link in json.loads(said[1])}
    assert "to-ops" in names["none"]
    assert "to-bastion" in names["one"]
    assert names["two"] == {"lo", "to-inner"}


def test_without_its_bastions_the_gateway_is_out_of_reach(way: Way) -> None:
    told = way.ask({"gateway": replace(way.to_gateway, jumps=())})
    assert "10.3.0.2: Network is unreachable" in str(told["gateway"])


def test_many_hosts_behind_one_bastion_with_default_limits_all_answer(way: Way) -> None:
    told = way.ask({f"h{number}": way.to_inner for number in range(40)}, seconds="20")
    assert [name for name, said in told.items() if not isinstance(said, list)] == []


@pytest.mark.parametrize("place", ["target", "jump"])
def test_a_changed_host_key_stops_with_one_clear_line(way: Way, place: str) -> None:
    wrong = way.keys.public(way.keys.client)
    access = way.to_inner
    if place == "target":
        access = replace(access, target=replace(access.target, host_key=wrong))
    else:
        access = replace(access, jumps=(replace(access.jumps[0], host_key=wrong),))
    said = str(way.ask({"inner": access})["inner"])
    address = "10.2.0.2" if place == "target" else "10.1.0.2"
    assert said.startswith(f"root@{address}: ITS HOST KEY HAS CHANGED")
    assert "\n" not in said


def test_an_unknown_host_key_is_never_accepted(way: Way, tmp_path: Path) -> None:
    target = replace(way.to_bastion.target, host_key="", known_hosts=str(tmp_path / "none"))
    said = str(way.ask({"b": replace(way.to_bastion, target=target)})["b"])
    assert said.startswith("root@10.1.0.2: its host key is not known")


def test_known_hosts_vouch_for_a_key_and_notice_another(way: Way, tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    target = replace(way.to_bastion.target, host_key="", known_hosts=str(file))
    access = replace(way.to_bastion, target=target)
    file.write_text(f"10.1.0.2 {way.keys.public(way.bastion.key)}\n")
    assert "Linux" in str(way.ask({"b": access})["b"])
    file.write_text(f"10.1.0.2 {way.keys.public(way.keys.client)}\n")
    assert "ITS HOST KEY HAS CHANGED" in str(way.ask({"b": access})["b"])


def test_a_host_that_accepts_and_is_silent_delays_nobody(way: Way) -> None:
    silent = way.bastion.host.popen(sys.executable, "-c", SILENT, stdout=subprocess.PIPE)
    try:
        assert silent.stdout is not None
        assert silent.stdout.readline() == "up\n"
        hung = replace(way.to_bastion, target=replace(way.to_bastion.target, port=2222))
        told = way.ask({"hung": hung, "well": way.to_gateway}, seconds="3")
    finally:
        silent.kill()
        silent.wait()
        assert silent.stdout is not None
        silent.stdout.close()
    assert told["hung"] == "root@10.1.0.2:2222: no answer within 3 s"
    assert "Linux" in str(told["well"])


def test_a_stopped_sshd_delays_nobody(way: Way) -> None:
    way.inner.send_signal(signal.SIGSTOP)
    try:
        told = way.ask({"hung": way.to_inner, "well": way.to_bastion}, seconds="3")
    finally:
        way.inner.send_signal(signal.SIGCONT)
    assert told["hung"] == "root@10.2.0.2: no answer within 3 s"
    assert "Linux" in str(told["well"])


def test_a_refused_key_is_one_line_without_any_secret(way: Way, tmp_path: Path) -> None:
    stranger = Keys(tmp_path)
    target = replace(way.to_bastion.target, key=str(stranger.client))
    said = str(way.ask({"b": replace(way.to_bastion, target=target)})["b"])
    assert "Permission denied" in said
    broken = tmp_path / "broken"
    broken.write_text(stranger.client.read_text()[:200])
    target = replace(target, key=str(broken))
    said += str(way.ask({"b": replace(way.to_bastion, target=target)})["b"])
    assert f"{broken}: cannot be used as a private key" in said
    logs = "".join(path.read_text() for path in way.keys.folder.glob("log-*"))
    assert not [secret for secret in stranger.secrets() + way.keys.secrets() if secret in said + logs]


def test_a_certificate_lets_in_and_its_bare_key_does_not(way: Way) -> None:
    key, certificate = way.keys.certify("certified")
    bare = replace(way.to_bastion.target, key=str(key))
    certified = replace(bare, certificate=str(certificate))
    told = way.ask({"bare": SshAccess(bare, agent=False), "certified": SshAccess(certified, agent=False)})
    assert "Permission denied" in str(told["bare"])
    assert "Linux" in str(told["certified"])


def test_a_key_of_the_agent_lets_in_only_where_the_agent_is_allowed(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as agent:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            monkeypatch.setenv("HOME", str(tmp_path))
            for _ in range(100):
                if subprocess.run(["ssh-add", "-q", str(way.keys.client)], check=False).returncode == 0:
                    break
                time.sleep(0.05)
            target = replace(way.to_bastion.target, key="")
            told = way.ask({"yes": SshAccess(target), "no": SshAccess(target, agent=False)})
        finally:
            agent.terminate()
    assert "Linux" in str(told["yes"])
    assert "Permission denied" in str(told["no"])


def test_the_configuration_is_honoured_but_cannot_switch_the_check_of_keys_off(
    way: Way, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host short\n  HostName 10.1.0.2\n  User root\n  IdentityFile {way.keys.client}\n"
        "  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n"
    )
    pinned = SshHop("short", host_key=way.keys.public(way.bastion.key))
    unknown = SshHop("short", known_hosts=str(tmp_path / "none"))
    told = way.ask({"pinned": SshAccess(pinned), "unknown": SshAccess(unknown)}, config=str(config))
    assert "Linux" in str(told["pinned"])
    assert str(told["unknown"]).startswith("short: its host key is not known")


def test_the_configuration_can_neither_lend_our_agent_nor_send_our_environment(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these was obeyed once: the gateway that was asked could have used the keys of who asked."""
    config = tmp_path / "config"
    config.write_text(
        "Host *\n  ForwardAgent yes\n  SendEnv LC_SECRET\n  SetEnv LC_TOLD=told\n"
        f"  IdentityFile {way.keys.client}\n"
    )
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    monkeypatch.setenv("LC_SECRET", "ours")
    before = way.bastion.log.read_text()
    assert isinstance(way.ask({"b": SshAccess(way.to_bastion.target)}, config=str(config))["b"], list)
    said = way.bastion.log.read_text().removeprefix(before)
    assert "auth-agent-req" not in said
    assert "req env" not in said


def test_a_jump_that_the_inventory_does_not_declare_is_not_taken(way: Way, tmp_path: Path) -> None:
    """Its host key would not be checked: UserKnownHostsFile says so."""
    config = tmp_path / "config"
    config.write_text(
        "Host 10.2.0.2\n  ProxyJump 10.1.0.2\nHost *\n  UserKnownHostsFile none\n"
        f"  StrictHostKeyChecking no\n  User root\n  IdentityFile {way.keys.client}\n"
    )
    before = way.bastion.log.read_text()
    undeclared = replace(way.to_inner, jumps=())
    said = str(way.ask({"inner": undeclared}, config=str(config))["inner"])
    assert "10.2.0.2: Network is unreachable" in said
    assert way.bastion.log.read_text() == before
