"""Every crafted kind by name: adding one is a file in ``netprobe.craft.kinds`` and a line here.

Rule: a module, and Scapy with it, is imported when its kind is first needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from netprobe.craft.kind import CraftKind

CRAFT_KINDS: dict[str, str] = {
    "bfd": "netprobe.craft.kinds.bfd",
    "esp": "netprobe.craft.kinds.esp",
    "geneve": "netprobe.craft.kinds.geneve",
    "gre": "netprobe.craft.kinds.gre",
    "ike": "netprobe.craft.kinds.ike",
    "ipip": "netprobe.craft.kinds.ipip",
    "openvpn": "netprobe.craft.kinds.openvpn",
    "quic": "netprobe.craft.kinds.quic",
    "sctp": "netprobe.craft.kinds.sctp",
    "stun": "netprobe.craft.kinds.stun",
    "submariner": "netprobe.craft.kinds.submariner",
    "vxlan": "netprobe.craft.kinds.vxlan",
}
"""Each name's module, which ends with ``KIND``."""


def find_craft_kind(name: str) -> CraftKind | None:
    """The crafted kind of that name, or None where there is none."""
    module = CRAFT_KINDS.get(name)
    return cast("CraftKind", importlib.import_module(module).KIND) if module else None
