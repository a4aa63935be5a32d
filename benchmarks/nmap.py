"""nmap beside us: the same pairs, its words translated into ours."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REASONS = {
    "net-unreach": 0, "host-unreach": 1, "proto-unreach": 2, "port-unreach": 3,
    "net-prohibited": 9, "host-prohibited": 10, "admin-prohibited": 13,
}  # fmt: skip


def command(
    protocol: str, hosts: tuple[str, ...], ports: tuple[int, ...], *, timing: str = "-T3"
) -> list[str]:
    """Nmap asking the same: no name resolution, every host taken for alive, verdicts as XML."""
    kind = "-sS" if protocol == "tcp" else "-sU"
    listed = ",".join(str(port) for port in ports)
    return ["nmap", "-n", "-Pn", kind, timing, "-p", listed, "-oX", "-", *hosts]


def agrees(ours: str, theirs: str | None) -> bool:
    """Whether nmap says the same. Its word ``filtered`` holds silence and refusal; it gives a reason besides,
    but where a host limits its answers it may not have waited for it."""
    return ours == theirs or (ours.startswith("rejected") and theirs == "filtered")


def read_verdicts(xml: bytes) -> dict[tuple[str, int], str]:
    """Verdict per pair, in the words of the generated firewall's truth."""
    return dict(_verdicts(ET.fromstring(xml)))


def _verdicts(root: ET.Element) -> Iterator[tuple[tuple[str, int], str]]:
    for host in root.iter("host"):
        address = host.find("address")
        if address is None:
            continue
        name = address.get("addr", "")
        for extra in host.iter("extraports"):
            for reasons in extra.iter("extrareasons"):
                word = _word(extra.get("state", ""), reasons.get("reason", ""), reasons.get("proto", ""))
                for port in _expand(reasons.get("ports", "")):
                    yield (name, port), word
        for port_element in host.iter("port"):
            state = port_element.find("state")
            if state is not None:
                word = _word(
                    state.get("state", ""), state.get("reason", ""), port_element.get("protocol", "")
                )
                yield (name, int(port_element.get("portid", "0"))), word


def _word(state: str, reason: str, protocol: str) -> str:
    if reason.rstrip("s") in REASONS or reason in REASONS:
        code = REASONS.get(reason, REASONS.get(reason.rstrip("s"), -1))
        return "closed" if protocol == "udp" and state == "closed" else f"rejected 3/{code}"
    return {"open|filtered": "filtered"}.get(state, state)


def _expand(listed: str) -> Iterator[int]:
    for part in filter(None, listed.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
