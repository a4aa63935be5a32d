"""ESP packets that the kernel dropped because no security association is theirs (``/proc/net/xfrm_stat``).

It is not among all readers: of a gateway's traffic it says little, but before and after packets of our own it
says that they arrived (Linux, ``xfrm_proc.rst``).
"""

from __future__ import annotations

from netprobe.discovery.gateway.interface import AddressPair, GatewayReader, Printed, count, lines
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.model.gateway import Fact, IpsecRefusals

_NO_STATES = "XfrmInNoStates"


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    del pair
    return (Command("xfrm-stat"),)


def _read(printed: Printed) -> tuple[Fact, ...]:
    rows = [line.split() for line in lines(printed.get("xfrm-stat", b""))]
    return tuple(
        IpsecRefusals(count(row[1], command="xfrm_stat"))
        for row in rows
        if len(row) == 2 and row[0] == _NO_STATES
    )


READER = GatewayReader("ipsec-refusals", _commands, _read)
