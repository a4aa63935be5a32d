"""A lab whose clusters are joined by OpenVPN and by strongSwan: packets cross, and a fault stops them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial

import pytest

from netprobe.discovery.inventory.file import load_inventory
from netprobe.lab.client import LabClient, Start, start_lab, take_down
from tests.patience import wait_until


def why_not() -> str:
    """Why these daemons cannot run here; empty if they can."""
    for program in ("openvpn", "/usr/lib/ipsec/charon"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return "" if os.access("/dev/net/tun", os.R_OK | os.W_OK) else "/dev/net/tun cannot be opened"


pytestmark = [
    pytest.mark.slow,  # one lab for each kind of tunnel
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "they are there"),
]
TOPOLOGY = """
wan: {transits: [transit], cidrs: [10.250.0.0/16, "fd00:250::/48"]}
hub: {name: hub, transit: transit, cidrs: [10.251.0.0/24, "fd00:251::/64"]}
clusters:
  - {name: a, transit: transit, pod_mtu: 1380, node_cidrs: [10.11.0.0/24, "fd00:11::/64"],
     pod_cidrs: [10.111.0.0/16, "fd00:111::/48"], service_cidrs: [10.211.0.0/24, "fd00:211::/112"],
     nodes: [{name: gw, role: gateway}]}
  - {name: b, transit: transit, pod_mtu: 1380, node_cidrs: [10.12.0.0/24, "fd00:12::/64"],
     pod_cidrs: [10.112.0.0/16, "fd00:112::/48"], service_cidrs: [10.212.0.0/24, "fd00:212::/112"],
     nodes: [{name: gw, role: gateway}]}
  - {name: c, transit: transit, pod_mtu: 1380, node_cidrs: [10.13.0.0/24, "fd00:13::/64"],
     pod_cidrs: [10.113.0.0/16, "fd00:113::/48"], service_cidrs: [10.213.0.0/24, "fd00:213::/112"],
     nodes: [{name: gw, role: gateway}]}
links:
  - {source: a, target: b, kind: tunnel, mechanism: openvpn, mtu: 1380}
  - {source: b, target: c, kind: tunnel, mechanism: ipsec, mtu: 1380}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabClient]:
    path = tmp_path_factory.mktemp("topology") / "three.yaml"
    path.write_text(TOPOLOGY)
    name = f"kinds-{os.getpid()}"
    try:
        state = start_lab(
            Start(name, topology=path, with_agents=False, end_with_pid=os.getpid()), notify=print
        )
        mechanisms = [link.mechanism for link in load_inventory(state.inventory).links]
        assert mechanisms == ["openvpn", "ipsec"]
        yield LabClient(name)
    finally:
        take_down(name)


def reaches(lab: LabClient, host: str, target: str) -> bool:
    ping = ("ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1300", target)
    return lab.run(host, *ping)[0] == 0


@pytest.mark.parametrize(
    ("source", "target", "pods"),
    [("a", "b", ("10.112.0.10", "fd00:112::a")), ("b", "c", ("10.113.0.10", "fd00:113::a"))],
    ids=["openvpn", "ipsec"],
)
def test_pods_reach_pods_until_the_tunnels_port_is_blocked_and_again_after(
    lab: LabClient, source: str, target: str, pods: tuple[str, str]
) -> None:
    gateway = f"{source}/gw/pod"
    for address in pods:
        wait_until(f"{source} reaches {address}", partial(reaches, lab, gateway, address))
    fault = lab.add_fault("tunnel-port-blocked", {"source": source, "target": target})
    wait_until(f"{source} no longer reaches {pods[0]}", lambda: not reaches(lab, gateway, pods[0]))
    lab.remove_fault(fault.id)
    wait_until(f"{source} reaches {pods[0]} again", lambda: reaches(lab, gateway, pods[0]))
