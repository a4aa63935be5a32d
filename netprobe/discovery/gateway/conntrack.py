"""The connection table: its fill from sysctl, its failures from ``/proc/net/stat/nf_conntrack``."""

from __future__ import annotations

from netprobe.discovery.gateway.interface import (
    AddressPair,
    GatewayReader,
    Printed,
    count,
    lines,
)
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.model.gateway import ConnectionTable, Fact


def _commands(pair: AddressPair) -> tuple[Command, ...]:
    del pair
    return Command("conntrack"), Command("conntrack-stat")


def _read(printed: Printed) -> tuple[Fact, ...]:
    if "conntrack" not in printed:
        return ()
    told = dict(line.split(" = ", 1) for line in lines(printed["conntrack"]) if " = " in line)
    entries, limit = (told.get(f"net.netfilter.nf_conntrack_{what}", "") for what in ("count", "max"))
    failures = _failures(lines(printed["conntrack-stat"])) if "conntrack-stat" in printed else {}
    return (
        ConnectionTable(
            count(entries, command="sysctl"),
            count(limit, command="sysctl"),
            failures.get("insert_failed"),
            failures.get("drop"),
        ),
    )


def _failures(rows: list[str]) -> dict[str, int]:
    """One line per processor, hexadecimal, below a line of names; summed over the processors."""
    names = rows[0].split() if rows else []
    sums = dict.fromkeys(names, 0)
    for row in rows[1:]:
        values = row.split()
        if len(values) != len(names):
            raise HostOutputError(f"nf_conntrack: {len(values)} columns below {len(names)} names")
        for column, value in zip(names, values, strict=True):
            sums[column] += count(value.lower(), command="nf_conntrack", base=16)
    return sums


READER = GatewayReader("conntrack", _commands, _read)
