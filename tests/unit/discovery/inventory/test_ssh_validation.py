"""The SSH way to a node: read strictly, written back the same, every mistake with its place."""

from __future__ import annotations

import pytest

from netprobe.discovery.inventory.file import dump_inventory, read_inventory
from netprobe.errors import InputError

PINNED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKq5ncMdBcyw2tZNPEBLEVJ6lnmeIC5y4aX7vUTBV8Lt"
GOOD = f"""\
clusters:
  - name: site
    is_site: true
    nodes:
      - name: gw
        role: gateway
        host_addresses: [192.168.1.1]
        ssh:
          target: {{host: 192.168.1.1, user: ops, port: 2222, key: ~/.ssh/netprobe, host_key: {PINNED}}}
          jumps:
            - {{host: bastion.example, user: ops}}
            - {{host: "fd00::1", known_hosts: /etc/ssh/ssh_known_hosts}}
          agent: false
          sudo: true
          bus_port: 14222
forwards:
  - name: hub
    host: 10.1.0.1
    port: 4222
    through:
      target: {{host: bastion.example, user: root}}
"""


def test_a_way_reads_back_as_it_was_written() -> None:
    inventory = read_inventory(GOOD, source="f")
    ssh = inventory.clusters[0].nodes[0].ssh
    assert ssh is not None
    assert str(ssh.target) == "ops@192.168.1.1:2222"
    assert [str(jump) for jump in ssh.jumps] == ["ops@bastion.example", "fd00::1"]
    assert (ssh.agent, ssh.sudo, ssh.bus_port) == (False, True, 14222)
    (forward,) = inventory.forwards
    assert (forward.name, forward.host, forward.port) == ("hub", "10.1.0.1", 4222)
    assert str(forward.through.target) == "root@bastion.example"
    assert read_inventory(dump_inventory(inventory), source="f") == inventory


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("host: bastion.example", "host: -oProxyCommand=x", "is neither an address nor a name"),
        ("host: bastion.example", "host: 'a b'", "is neither an address nor a name"),
        ("user: ops, port", "user: -l, port", "is not a user name"),
        ("port: 2222", "port: 70000", "is outside 1–65535"),
        ("key: ~/.ssh/netprobe", "key: '-----BEGIN OPENSSH PRIVATE KEY-----'", "never the key itself"),
        ("key: ~/.ssh/netprobe", "certificate: a", "a certificate needs the key it belongs to"),
        (PINNED, "ssh-rsa AAAA", "is not a public key"),
        (PINNED, PINNED.replace("ssh-ed25519", "ssh-rsa"), "is not a public key"),
        ("agent: false", "password: x", "password"),
        ("bus_port: 14222", "bus_port: 0", "is outside 1–65535"),
        ("port: 4222", "port: 70000", "is outside 1–65535"),
        ("host: 10.1.0.1", "host: -v", "is neither an address nor a name"),
        ("user: root", "user: -l", "is not a user name"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=r"f:\d+:\d+") as caught:
        read_inventory(GOOD.replace(old, new, 1), source="f")
    assert told in str(caught.value)
    assert "BEGIN OPENSSH" not in str(caught.value)
