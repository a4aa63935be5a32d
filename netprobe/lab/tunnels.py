"""Tunnels between gateways: kernel WireGuard, else ``wireguard-go``, else VXLAN with a notice."""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netprobe.errors import SystemRefusedError
from netprobe.lab.builder import netlink
from netprobe.lab.namespaces import Namespaces
from netprobe.lab.plan import LabPlan, Tunnel, TunnelEnd
from netprobe.model.inventory import LinkKind

_DAEMON_WAIT_S = 10.0


class Mechanism(StrEnum):
    """Mechanism of this lab's tunnels."""

    KERNEL = "wireguard"
    USERSPACE = "wireguard-go"
    VXLAN = "vxlan"


@dataclass(frozen=True, slots=True)
class WireGuardKeys:
    """A WireGuard key pair, base64."""

    private: str
    public: str


@dataclass(frozen=True, slots=True)
class WireGuardEnd:
    """One end with the configuration for ``wg``."""

    end: TunnelEnd
    far: TunnelEnd
    keys: WireGuardKeys
    far_public: str
    port: int

    def peer_arguments(self) -> list[str]:
        """The far end as a peer, as arguments of ``wg set``."""
        own = (f"{text}/{128 if ':' in text else 32}" for text in self.far.own_addresses)
        ranges = ",".join((*self.far.inner_ranges, *own))
        endpoint = f"{self.far.outer}:{self.port}"
        return [
            "peer",
            self.far_public,
            "endpoint",
            endpoint,
            "allowed-ips",
            ranges,
            "persistent-keepalive",
            "5",
        ]


def choose_mechanism(namespaces: Namespaces, host: str) -> tuple[Mechanism, str]:
    """Choose the mechanism of the tunnels; also a notice for people (empty if there is none)."""
    if shutil.which("wg") is None:
        return Mechanism.VXLAN, "wg (wireguard-tools) is not installed: tunnels are VXLAN, not encrypted"
    with netlink(namespaces, host) as ipr:
        if _has_kernel_wireguard(ipr):
            return Mechanism.KERNEL, ""
    if shutil.which("wireguard-go") is None:
        return (
            Mechanism.VXLAN,
            "neither kernel WireGuard nor wireguard-go is available: tunnels are VXLAN, not encrypted",
        )
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return Mechanism.VXLAN, "/dev/net/tun cannot be opened: tunnels are VXLAN, not encrypted"
    return Mechanism.USERSPACE, ""


def _has_kernel_wireguard(ipr: IPRoute) -> bool:
    try:
        ipr.link("add", ifname="wgtest", kind="wireguard")
    except NetlinkError:
        return False
    ipr.link("del", index=ipr.link_lookup(ifname="wgtest")[0])
    return True


def make_ends(plan: LabPlan, namespaces: Namespaces) -> tuple[WireGuardEnd, ...]:
    """Make a key pair for every end of every tunnel."""
    ends = []
    for tunnel in plan.tunnels:
        if tunnel.kind is LinkKind.TUNNEL and not tunnel.mechanism:
            keys = {
                end.cluster: _make_keys(namespaces, end.gateway) for end in (tunnel.source, tunnel.target)
            }
            for end in (tunnel.source, tunnel.target):
                far = tunnel.far_end(end.cluster)
                ends.append(WireGuardEnd(end, far, keys[end.cluster], keys[far.cluster].public, tunnel.port))
    return tuple(ends)


def _make_keys(namespaces: Namespaces, host: str) -> WireGuardKeys:
    raw = bytearray(os.urandom(32))
    raw[0] &= 248  # clamped (RFC 7748 section 5)
    raw[31] = (raw[31] & 127) | 64
    private = base64.b64encode(raw).decode()
    return WireGuardKeys(private, namespaces.of(host).run("wg", "pubkey", stdin=private).strip())


def start_userspace(end: WireGuardEnd) -> tuple[str, ...]:
    """The command of the daemon of one end; ``-f`` keeps it in the foreground, so that we notice its exit."""
    return ("wireguard-go", "-f", end.end.interface)


def make_kernel_interface(end: WireGuardEnd, namespaces: Namespaces) -> None:
    """Make the kernel interface of one end."""
    with netlink(namespaces, end.end.gateway) as ipr:
        ipr.link("add", ifname=end.end.interface, kind="wireguard")


def configure(end: WireGuardEnd, namespaces: Namespaces, *, mtu: int, is_dead: Callable[[], bool]) -> None:
    """Configure key, port and peer of an end and set it up; waits until its daemon listens."""
    arguments = ["wg", "set", end.end.interface, "listen-port", str(end.port), "private-key", "/dev/stdin"]
    deadline = time.monotonic() + _DAEMON_WAIT_S
    while True:
        try:
            namespaces.of(end.end.gateway).run(*arguments, *end.peer_arguments(), stdin=end.keys.private)
            break
        except SystemRefusedError:
            if is_dead() or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    raise_interface(end.end, namespaces, mtu=mtu)


def raise_interface(end: TunnelEnd, namespaces: Namespaces, *, mtu: int) -> None:
    """Set the MTU of a tunnel's interface and bring it up."""
    with netlink(namespaces, end.gateway) as ipr:
        index = ipr.link_lookup(ifname=end.interface)[0]
        ipr.link("set", index=index, mtu=mtu, state="up")


def make_vxlan(tunnel: Tunnel, namespaces: Namespaces) -> None:
    """Make both ends of a tunnel as VXLAN interfaces, point to point."""
    macs = {
        end.cluster: f"02:4e:54:00:{tunnel.index:02x}:{side:02x}" for side, end in enumerate(_ends(tunnel))
    }
    for end in _ends(tunnel):
        far = tunnel.far_end(end.cluster)
        with netlink(namespaces, end.gateway) as ipr:
            ipr.link(
                "add",
                ifname=end.interface,
                kind="vxlan",
                vxlan_id=1000 + tunnel.index,
                vxlan_local=end.outer,
                vxlan_group=far.outer,
                vxlan_port=tunnel.port,
                mtu=tunnel.mtu,
                address=macs[end.cluster],
            )
        raise_interface(end, namespaces, mtu=tunnel.mtu)


def _ends(tunnel: Tunnel) -> tuple[TunnelEnd, TunnelEnd]:
    return tunnel.source, tunnel.target
