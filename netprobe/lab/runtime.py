"""A running lab: started from its plan, queried, changed by faults, stopped.

Rule: methods block and are called by one thread at a time, a worker of the supervisor's event loop.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from netprobe.bus.certificates import make_authority, sign_server
from netprobe.bus.keys import new_user, write_seed
from netprobe.discovery.inventory.file import dump_inventory
from netprobe.errors import SystemRefusedError
from netprobe.lab import daemons, exports, tunnels
from netprobe.lab.builder import build_network, netlink, number_host
from netprobe.lab.faults import FaultInjector
from netprobe.lab.namespaces import Namespaces
from netprobe.lab.plan import LabPlan
from netprobe.lab.processes import (
    COLLECTOR,
    Processes,
    ProcessSpec,
    agent_processes,
    collector_process,
    dns_processes,
    is_collector_built,
    plan_agents,
)
from netprobe.lab.protocol import LabHostStatus, LabStatus
from netprobe.lab.state_folder import StateFolder
from netprobe.model.inventory import LinkKind

logger = logging.getLogger(__name__)

_READY_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class LabOptions:
    """Options of the lab."""

    name: str
    interval_ns: int
    with_agents: bool
    bus_url: str


class RunningLab:
    """One lab, from :meth:`bring_up` to :meth:`take_down`."""

    def __init__(self, plan: LabPlan, state: StateFolder, options: LabOptions) -> None:
        self.plan = plan
        self.state = state
        self._options = options
        self.namespaces = Namespaces()
        self.processes = Processes(plan, self.namespaces, state)
        self.mechanism = tunnels.Mechanism.VXLAN
        self.notices: list[str] = []
        self.faults = FaultInjector(self.plan, self.namespaces, self.processes, self.state)

    def bring_up(self, notify: Callable[[str], None]) -> None:
        """Build everything and start every process; *notify* receives notices for people."""
        logger.info("building %d hosts, %d tunnels", len(self.plan.hosts), len(self.plan.tunnels))
        self.namespaces.create(self.plan.hosts, hub=self.plan.hub)
        for cluster in self.plan.clusters:
            self.namespaces.give_resolver(cluster.name, cluster.dns_addresses)
        build_network(self.plan, self.namespaces)
        self._build_tunnels(notify)
        for host in self.plan.hosts:
            if host.nft:
                self.namespaces.of(host.name).load_rules(host.nft)
        self._write_files()
        for spec in dns_processes(self.plan, self.state):
            self.processes.start(spec)
        if self._options.with_agents:
            self._start_netprobe(notify)

    def _build_tunnels(self, notify: Callable[[str], None]) -> None:
        gateways = {end.gateway for tunnel in self.plan.tunnels for end in (tunnel.source, tunnel.target)}
        if any(tunnel.kind is LinkKind.TUNNEL for tunnel in self.plan.tunnels):
            self.mechanism, notice = tunnels.choose_mechanism(
                self.namespaces, self.plan.tunnels[0].source.gateway
            )
            if notice:
                self._notice(notice, notify)
            self._build_tunnel_interfaces()
        for name in sorted(gateways):
            with netlink(self.namespaces, name) as ipr:
                number_host(ipr, self.plan.host(name))

    def _build_tunnel_interfaces(self) -> None:
        self._start_daemons()
        if self.mechanism is tunnels.Mechanism.VXLAN:
            for tunnel in self.plan.tunnels:
                if tunnel.kind is LinkKind.TUNNEL and not tunnel.mechanism:
                    tunnels.make_vxlan(tunnel, self.namespaces)
            return
        ends = tunnels.make_ends(self.plan, self.namespaces)
        for end in ends:
            if self.mechanism is tunnels.Mechanism.KERNEL:
                tunnels.make_kernel_interface(end, self.namespaces)
            else:
                self.processes.start(
                    ProcessSpec(_daemon_name(end), end.end.gateway, tunnels.start_userspace(end))
                )
        for end in ends:
            mtu = next(
                tunnel.mtu for tunnel in self.plan.tunnels if end.end in (tunnel.source, tunnel.target)
            )
            tunnels.configure(end, self.namespaces, mtu=mtu, is_dead=partial(self._died, _daemon_name(end)))
        self.faults.tunnel_ends = {end.end.interface: end for end in ends}

    def _start_daemons(self) -> None:
        """Start both ends of OpenVPN and strongSwan, then wait for both, because each waits for the other."""
        by_daemon = [tunnel for tunnel in self.plan.tunnels if tunnel.mechanism]
        specs = [daemons.plan_daemon(tunnel, end, self.state.secrets)
                 for tunnel in by_daemon for end in (tunnel.source, tunnel.target)]  # fmt: skip
        for spec in specs:
            self.processes.start(spec)
        for tunnel in by_daemon:
            for end in (tunnel.source, tunnel.target):
                name = daemons.daemon_name(tunnel, end)
                is_dead = partial(self._has_ended, name)
                daemons.wait_for_interface(tunnel, end, self.namespaces, is_dead=is_dead)

    def _has_ended(self, name: str) -> bool:
        return not self.processes.is_running(name)

    def _died(self, name: str) -> bool:
        return self.mechanism is tunnels.Mechanism.USERSPACE and not self.processes.is_running(name)

    def _notice(self, text: str, notify: Callable[[str], None]) -> None:
        self.notices.append(text)
        notify(text)

    def _write_files(self) -> None:
        inventory = exports.make_inventory(self.plan, mechanism=str(self.mechanism))
        self.state.inventory.write_text(dump_inventory(inventory))
        for cluster in self.plan.clusters:
            self.state.zone(cluster.name).write_text(exports.make_zone(self.plan, cluster))
        public: dict[str, str] = {}
        for agent in plan_agents(self.plan):
            seed, public[str(agent)] = new_user()
            write_seed(self.state.agent_seed(str(agent)), seed)
        seed, operator = new_user()
        write_seed(self.state.operator_seed, seed)
        self.state.keys.write_text(json.dumps({"agents": public, "operators": [operator]}, indent=1))
        self._certify_bus()

    def _certify_bus(self) -> None:
        """A certificate for the bus, by an authority whose key is not kept."""
        now = datetime.now(UTC)
        authority = make_authority(now=now)
        signed = sign_server(authority, (*self.plan.hub_addresses, "127.0.0.1"), now=now)
        self.state.bus_ca.write_bytes(authority.certificate)
        self.state.bus_certificate.write_bytes(signed.certificate)
        self.state.bus_key.write_bytes(signed.key)

    def _start_netprobe(self, notify: Callable[[str], None]) -> None:
        if not is_collector_built():
            self._notice("the collector is not installed, so only the network was started", notify)
            return
        self.processes.start(collector_process(self.plan, self.state, interval_ns=self._options.interval_ns))
        for spec in agent_processes(self.plan, self.state):
            self.processes.start(spec)
        logger.info("collector and agents are started")
        deadline = time.monotonic() + _READY_WAIT_S
        while not (self.state.data / "ready").exists():
            if not self.processes.is_running(COLLECTOR):
                raise SystemRefusedError(f"the collector exited at once: {self._last_log_line(COLLECTOR)}")
            if time.monotonic() > deadline:
                raise SystemRefusedError(f"the collector is not ready: {self._last_log_line(COLLECTOR)}")
            time.sleep(0.05)

    def _last_log_line(self, name: str) -> str:
        lines = self.state.log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote no log"

    def status(self) -> LabStatus:
        """Status of the lab."""
        return LabStatus(
            name=self._options.name,
            mechanism=str(self.mechanism),
            notices=self.notices,
            hosts=[
                LabHostStatus(name, str(role), texts)
                for name, role, texts in exports.describe_hosts(self.plan)
            ],
            processes=self.processes.statuses(),
            faults=self.faults.statuses(),
            bus_url=self._options.bus_url,
            folder=str(self.state.root),
            rootless=os.environ.get("NETPROBE_LAB_ROOTLESS") == "1",
        )

    def take_down(self) -> None:
        """Stop every process and remove the folder; the kernel removes the rest when we exit."""
        logger.info("taking the lab down")
        self.processes.end_all()
        self.state.remove()


def _daemon_name(end: tunnels.WireGuardEnd) -> str:
    several = f"-{end.end.interface}" if end.end.addresses else ""
    return f"{end.end.cluster}/wireguard-{end.far.cluster}{several}"
