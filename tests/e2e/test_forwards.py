"""Real API servers in a network of their own, reached through a real sshd that runs in it: a bastion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from netprobe.cli.main import cli
from netprobe.discovery.inventory.file import dump_inventory
from netprobe.model.inventory import Inventory
from netprobe.model.ssh import SshAccess, SshForward
from tests.e2e.cluster.client import Clusters
from tests.lab.sshd import Door, Keys, why_no_sshd

PROD, STAGING = "prod-us-west1-1", "staging-eu-central1-1"
ADDRESSES = {PROD: "10.250.1.1", STAGING: "10.250.2.1"}
PORT = 6443
STRANGER = "api.example.invalid"


@dataclass
class ClosedPeer:
    """The clusters as who stands outside knows them: by addresses that only the bastion reaches."""

    clusters: Clusters
    bastion: Door
    folder: Path

    def kubeconfig(self, name: str, host: str) -> Path:
        """A cluster's kubeconfig, with its server at *host*."""
        config = json.loads(self.clusters.kubeconfigs[name].read_text())
        (cluster,) = config["clusters"]
        cluster["cluster"]["server"] = f"https://{host}:{PORT}"
        cluster["cluster"].pop("tls-server-name", None)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(config))
        return path

    def ask(self, hosts: dict[str, str], *forwards: SshForward) -> Result:
        """``netprobe clusters --forwards`` on the clusters, whose servers are at *hosts*."""
        inventory = self.folder / "sites.yaml"
        inventory.write_text(dump_inventory(Inventory((), (), forwards=forwards)))
        files = [f"--kubeconfig={self.kubeconfig(name, host)}" for name, host in hosts.items()]
        words = ["clusters", *files, "--all-contexts", "--forwards", str(inventory), "-o", "json"]
        return CliRunner().invoke(cli, words)

    def forward(self, name: str, host: str) -> SshForward:
        return SshForward(name, host, PORT, SshAccess(self.bastion.hop(), agent=False))

    def sessions(self) -> int:
        """How many logins were accepted so far."""
        return self.bastion.log.read_text().count("Accepted publickey for root")


@pytest.fixture(scope="module")
def closed(clusters: Clusters, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClosedPeer]:
    if reason := why_no_sshd():
        pytest.skip(reason)
    keys = Keys(tmp_path_factory.mktemp("keys"))
    enter = ["nsenter", "-t", str(clusters.pid), "-n"]
    with closing(Door(enter, keys, "bastion")) as bastion:
        yield ClosedPeer(clusters, bastion, tmp_path_factory.mktemp("outside"))


def test_api_servers_behind_a_bastion_are_read_through_the_declared_forwards(closed: ClosedPeer) -> None:
    before = closed.sessions()
    result = closed.ask(ADDRESSES, *(closed.forward(name, host) for name, host in ADDRESSES.items()))
    assert result.exit_code == 0, result.output
    found = {entry["name"]: entry for entry in json.loads(result.output)["clusters"]}
    assert set(found) == {PROD, STAGING}
    assert all(entry["kubernetes"].startswith("v1.") for entry in found.values())
    assert len({entry["identity"] for entry in found.values()}) == 2
    assert closed.sessions() == before + 2


def test_behind_a_forward_too_a_server_must_prove_the_name_it_is_known_by(closed: ClosedPeer) -> None:
    """The forward called *STRANGER* leads to a real API server, whose certificate is for other names."""
    before = closed.sessions()
    result = closed.ask({PROD: STRANGER}, closed.forward(STRANGER, ADDRESSES[PROD]))
    assert closed.sessions() == before + 1
    (entry,) = json.loads(result.output)["clusters"]
    assert (result.exit_code, entry.get("kubernetes")) == (1, None)
    assert "certificate" in entry["error"]
    assert STRANGER in entry["error"]


def test_where_nothing_listens_behind_the_bastion_that_cluster_says_so_and_the_other_is_read(
    closed: ClosedPeer,
) -> None:
    nobody = "10.250.1.9"
    result = closed.ask(
        {PROD: nobody, STAGING: ADDRESSES[STAGING]},
        closed.forward("nobody", nobody),
        closed.forward("staging", ADDRESSES[STAGING]),
    )
    found = {entry["name"]: entry for entry in json.loads(result.output)["clusters"]}
    assert result.exit_code == 1
    assert found[PROD]["error"]
    assert found[STAGING]["kubernetes"].startswith("v1.")
