"""What encapsulations carry: an echo to an address at the far end; for Ethernet, ARP asks before it.

The far end's answer comes back in the same encapsulation, to the outer address of the agent, where the far
end knows that address as its peer.
"""

from __future__ import annotations

import ipaddress
import re

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from netprobe.craft.kind import CraftRequest, Facts
from netprobe.errors import InputError

INNER, INNER_SOURCE, INNER_MAC, VNI = "inner", "inner-source", "inner-mac", "vni"
_BROADCAST = "ff:ff:ff:ff:ff:ff"
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def inner_address(request: CraftRequest, key: str) -> str:
    """An IPv4 address of the inner network; :class:`InputError` where it is missing or none."""
    text = request.options.get(key, "")
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise InputError(
            f"{text!r} is not an IPv4 address of the inner network", where=f"options.{key}"
        ) from error


def build_echo(request: CraftRequest) -> Packet:
    """The inner IP packet: an echo request from ``inner-source`` to ``inner``."""
    addresses = inner_address(request, INNER_SOURCE), inner_address(request, INNER)
    return (
        IP(src=addresses[0], dst=addresses[1], ttl=8) / ICMP(id=_number(request), seq=1) / Raw(request.token)
    )


def build_frames(request: CraftRequest) -> tuple[Packet, Packet]:
    """Inner frames: a question by ARP, so that the far end knows us, then the echo."""
    mac = own_mac(request)
    target_mac = request.options.get(INNER_MAC, _BROADCAST)
    if not _MAC.fullmatch(target_mac):
        raise InputError(f"{target_mac!r} is not a MAC address", where=f"options.{INNER_MAC}")
    source, target = inner_address(request, INNER_SOURCE), inner_address(request, INNER)
    asked = Ether(src=mac, dst=_BROADCAST) / ARP(op="who-has", hwsrc=mac, psrc=source, pdst=target)
    return asked, Ether(src=mac, dst=target_mac) / build_echo(request)


def own_mac(request: CraftRequest) -> str:
    """A locally administered address of our own (IEEE 802, section 8.2)."""
    return ":".join(f"{each:02x}" for each in (0x02, *request.token[16:21]))


def read_frame(request: CraftRequest, frame: Packet) -> Facts | None:
    """What an inner frame says, if it answers one of ours."""
    arp = frame.getlayer(ARP)
    if arp is not None and arp.op == 2 and arp.psrc == inner_address(request, INNER):
        return (("inner neighbour", f"{arp.psrc} is at {arp.hwsrc}"),)
    return read_echo(request, frame)


def read_echo(request: CraftRequest, packet: Packet) -> Facts | None:
    """What an inner IP packet says, if it answers our echo."""
    ip, echo = packet.getlayer(IP), packet.getlayer(ICMP)
    if ip is None or echo is None or echo.type != 0 or echo.id != _number(request):
        return None
    return (("inner echo", f"answered by {ip.src}"),)


def _number(request: CraftRequest) -> int:
    return int.from_bytes(request.token[22:24], "big")
