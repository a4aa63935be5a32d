"""Executes and exactly reverts faults, and keeps the list of active faults.

Rule: if an action of a fault fails, the earlier ones are reverted at once, so no fault is partly in place.
"""

from __future__ import annotations

import itertools
import logging
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError

from netprobe.errors import InputError, SystemRefusedError
from netprobe.lab.builder import (
    find_links,
    netlink,
    number_host,
    set_vxlan_peers,
    write_route,
)
from netprobe.lab.faults.base import (
    Action,
    FaultPlan,
    Frozen,
    Killed,
    LinksDown,
    NftChange,
    NftTable,
    PeerGone,
    RoutesGone,
    ZoneDenied,
)
from netprobe.lab.faults.registry import KINDS
from netprobe.lab.namespaces import Namespaces
from netprobe.lab.plan import LabPlan
from netprobe.lab.processes import Processes
from netprobe.lab.protocol import FaultStatus
from netprobe.lab.state_folder import StateFolder
from netprobe.lab.tunnels import WireGuardEnd

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """One fault that is in place."""

    id: str
    kind: str
    parameters: dict[str, str]
    plan: FaultPlan
    added_ns: int

    def status(self) -> FaultStatus:
        """As ``lab fault list`` shows it."""
        components = [str(component) for component in self.plan.label.components]
        return FaultStatus(
            self.id, self.kind, self.parameters, str(self.plan.label.cause), components, self.added_ns
        )  # fmt: skip


class FaultInjector:
    """Adds and removes faults of one lab."""

    def __init__(
        self, plan: LabPlan, namespaces: Namespaces, processes: Processes, state: StateFolder
    ) -> None:
        self._plan = plan
        self._namespaces = namespaces
        self._processes = processes
        self._state = state
        self._active: dict[str, ActiveFault] = {}
        self._numbers = itertools.count(1)
        self.tunnel_ends: dict[str, WireGuardEnd] = {}
        """WireGuard ends by interface; empty if tunnels are VXLAN."""

    def statuses(self) -> list[FaultStatus]:
        """The active faults, oldest first."""
        return [fault.status() for fault in self._active.values()]

    def add(self, kind: str, parameters: Mapping[str, str]) -> FaultStatus:
        """Add a fault; returns when it is in place."""
        if kind not in KINDS:
            raise InputError(f"unknown fault {kind!r}; `netprobe lab fault list` shows the kinds")
        arguments = KINDS[kind].read(self._plan, parameters)
        texts = dict(arguments.texts)
        if any((fault.kind, fault.parameters) == (kind, texts) for fault in self._active.values()):
            raise InputError(f"{kind} with these parameters is already active")
        plan = KINDS[kind].plan(arguments)
        identity = f"{kind}-{next(self._numbers)}"
        self._do_all(identity, plan)
        fault = ActiveFault(identity, kind, texts, plan, time.time_ns())
        self._active[identity] = fault
        logger.info(
            "fault %s is active: %s", identity, " ".join(f"{key}={text}" for key, text in texts.items())
        )
        return fault.status()

    def remove(self, identity: str) -> list[str]:
        """Remove the fault with that id, or every fault (``all``), newest first."""
        if identity != "all" and identity not in self._active:
            known = ", ".join(self._active) or "none"
            raise InputError(f"no fault {identity!r} is active; active faults: {known}")
        removed = list(reversed(self._active)) if identity == "all" else [identity]
        for fault_id in removed:
            fault = self._active.pop(fault_id)
            for action in reversed(fault.plan.actions):
                self._undo(fault_id, action)
            self._forget_flows(fault.plan)
            logger.info("fault %s is removed", fault_id)
        return removed

    def _do_all(self, identity: str, plan: FaultPlan) -> None:
        done: list[Action] = []
        try:
            for action in plan.actions:
                self._do(identity, action)
                done.append(action)
        except (SystemRefusedError, InputError):
            for action in reversed(done):
                self._undo(identity, action)
            raise
        self._forget_flows(plan)

    def _do(self, identity: str, action: Action) -> None:
        logger.debug("fault %s: %s", identity, type(action).__name__)
        match action:
            case NftTable(host, body):
                self._nft(host, f"table inet {_table(identity)} {{\n{body}\n}}\n")
            case NftChange(host, script, _):
                self._nft(host, script)
            case LinksDown(host, interfaces):
                self._set_links(host, interfaces, "down")
            case RoutesGone(host, ranges):
                self._change_routes(host, ranges, "del")
            case PeerGone(host, interface):
                self._drop_peer(host, interface)
            case Killed(process):
                self._processes.kill(process)
            case Frozen(process):
                self._processes.signal(process, signal.SIGSTOP)
            case ZoneDenied(cluster, zone):
                self._state.denied_zones(cluster).write_text(f"{zone}\n")

    def _undo(self, identity: str, action: Action) -> None:
        match action:
            case NftTable(host, _):
                self._nft(host, f"delete table inet {_table(identity)}\n")
            case NftChange(host, _, undo):
                self._nft(host, undo)
            case LinksDown(host, interfaces):
                self._raise_links(host, interfaces)
            case RoutesGone(host, ranges):
                self._change_routes(host, ranges, "replace")
            case PeerGone(host, interface):
                self._restore_peer(host, interface)
            case Killed(process):
                self._processes.restart(process)
            case Frozen(process):
                if self._processes.is_running(process):  # another fault may have killed it since
                    self._processes.signal(process, signal.SIGCONT)
            case ZoneDenied(cluster, _):
                self._state.denied_zones(cluster).unlink(missing_ok=True)

    def _nft(self, host: str, script: str) -> None:
        self._namespaces.of(host).load_rules(script)

    def _set_links(self, host: str, interfaces: tuple[str, ...], state: str) -> None:
        with netlink(self._namespaces, host) as ipr:
            links = find_links(ipr)
            for interface in interfaces:
                ipr.link("set", index=links[interface], state=state)

    def _raise_links(self, host: str, interfaces: tuple[str, ...]) -> None:
        """Set up interfaces that no other fault keeps down, and restore what the host lost with them."""
        held: set[str] = set()
        for fault in self._active.values():
            for action in fault.plan.actions:
                if isinstance(action, LinksDown) and action.host == host:
                    held.update(action.interfaces)
                if isinstance(action, PeerGone) and action.host == host:
                    held.update({action.interface} - set(self.tunnel_ends))
        self._set_links(host, tuple(interface for interface in interfaces if interface not in held), "up")
        self._number_again(host)

    def _number_again(self, host: str) -> None:
        """Write the routes that were lost with their interface, except those that another fault removed."""
        gone = frozenset(
            text
            for fault in self._active.values()
            for action in fault.plan.actions
            if isinstance(action, RoutesGone) and action.host == host
            for text in action.ranges
        )
        planned = self._plan.host(host)
        with netlink(self._namespaces, host) as ipr:
            number_host(ipr, planned, skip=gone)
            for vxlan in planned.vxlans:
                set_vxlan_peers(ipr, vxlan)

    def _change_routes(self, host: str, ranges: tuple[str, ...], command: str) -> None:
        with netlink(self._namespaces, host) as ipr:
            links = find_links(
                ipr, only_up=True
            )  # interfaces that are down get their routes when they are set up
            for route in self._plan.host(host).routes:
                if route.to in ranges and all(name in links for name in route.interfaces):
                    write_route(ipr, route, links, command=command)

    def _drop_peer(self, host: str, interface: str) -> None:
        if interface in self.tunnel_ends:
            public = self.tunnel_ends[interface].far_public
            self._namespaces.of(host).run("wg", "set", interface, "peer", public, "remove")
        else:
            self._set_links(host, (interface,), "down")

    def _restore_peer(self, host: str, interface: str) -> None:
        if interface in self.tunnel_ends:
            arguments = self.tunnel_ends[interface].peer_arguments()
            self._namespaces.of(host).run("wg", "set", interface, *arguments)
        else:
            self._raise_links(host, (interface,))

    def _forget_flows(self, plan: FaultPlan) -> None:
        for host in plan.forget_flows:
            # For the whole block: the socket is opened at its first request.
            with self._namespaces.of(host).entered():
                tracking = NFCTSocket()
                try:
                    tracking.flush()
                except NetlinkError as error:
                    raise SystemRefusedError(
                        f"cannot empty connection tracking on {host}: {error}"
                    ) from error
                finally:
                    tracking.close()


def _table(identity: str) -> str:
    return f"np_{identity}".replace("-", "_")
