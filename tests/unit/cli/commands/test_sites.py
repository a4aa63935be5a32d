"""``netprobe sites deploy`` and ``tunnel``: a bus in plain text is refused before any host is entered."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from netprobe.cli.main import cli
from netprobe.errors import InputError

SITES = """
clusters:
  - name: west
    is_site: true
    nodes:
      - name: gw
        host_addresses: [192.0.2.10]
        ssh: {target: {host: 192.0.2.10}}
      - name: box
        host_addresses: [192.0.2.11]
        ssh: {target: {host: 192.0.2.11}, bus_port: 14222}
"""


def refusal(folder: Path, command: str, *words: str) -> str:
    """What the command says; entering a host would take ten seconds and be no error of this kind."""
    (folder / "sites.yaml").write_text(SITES)
    inventory = ["--inventory", str(folder / "sites.yaml")]
    done = CliRunner().invoke(cli, ["sites", command, *words, *inventory])
    assert isinstance(done.exception, InputError), done.output
    return str(done.exception)


@pytest.mark.parametrize(
    ("bus", "name", "said"),
    [
        ("nats://hub:4222", "west/gw", "would be plain text beyond this machine: use tls://hub:4222"),
        ("nats://127.0.0.1:4222", "west/box", "nats://127.0.0.1:4222 is plain text: others need tls://"),
    ],
)
def test_agents_on_hosts_get_no_bus_in_plain_text(tmp_path: Path, bus: str, name: str, said: str) -> None:
    """At the end of a tunnel not even on loopback: any user of that host may listen there."""
    keys = tmp_path / "keys.json"
    told = refusal(tmp_path, "deploy", name, "--bus", bus, "--keys", str(keys))
    assert told.startswith("--bus: ")
    assert said in told
    assert not keys.exists()


def test_no_tunnel_carries_plain_text(tmp_path: Path) -> None:
    told = refusal(tmp_path, "tunnel", "--bus", "nats://127.0.0.1:4222")
    assert told == "--bus: nats://127.0.0.1:4222 is plain text: others need tls://"


def test_an_authority_that_is_none_is_refused_before_any_host_is_entered(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    words = ("--bus", "tls://hub:4222", "--keys", str(tmp_path / "keys.json"))
    told = refusal(tmp_path, "deploy", "west/gw", *words, "--ca", str(tmp_path / "ca.crt"))
    assert told.startswith(f"{tmp_path / 'ca.crt'}: ")
