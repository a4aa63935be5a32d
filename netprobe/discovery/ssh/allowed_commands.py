"""Every command that netprobe runs on a host; there are no others.

Rules: a command is a fixed argument vector, read-only, with at most validated addresses and a port in it;
the one script that changes a host is ``agent_host.sh``. SSH hands
one string to the login shell of the far side, so the vector is quoted word by word, and no word ever comes
from the network.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from netprobe.errors import MisuseError

Address: TypeAlias = IPv4Address | IPv6Address

_PREFIX = ("env", "LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
"""Words in English, and the programs of ``sbin`` also for people who are not root."""


class _Slot(Enum):
    """Where a validated address stands."""

    TARGET = "target"
    SOURCE = "source"
    PORT = "port"
    URL = "url"
    """``http://`` with the target and the port."""


@dataclass(frozen=True, slots=True)
class _Allowed:
    argv: tuple[str | _Slot, ...]
    privileged: bool = False


_ALLOWED: dict[str, _Allowed] = {
    "clock": _Allowed(("date", "+%s")),
    "uptime": _Allowed(("cat", "/proc/uptime")),
    "kernel": _Allowed(("uname", "-srm")),
    "python": _Allowed(("python3", "--version")),
    "tools": _Allowed(("which", "ping", "nc", "traceroute", "curl", "ip", "wg", "nft", "swanctl", "openvpn")),
    "wireguard": _Allowed(("wg", "show", "all", "dump"), privileged=True),
    "route": _Allowed(("ip", "-j", "route", "get", _Slot.TARGET)),
    "route-from": _Allowed(("ip", "-j", "route", "get", _Slot.TARGET, "from", _Slot.SOURCE)),
    "rules": _Allowed(("ip", "-j", "rule")),
    "rp-filter": _Allowed(("sysctl", "-a", "-r", r"^net\.ipv4\.conf\..*\.rp_filter$")),
    "links": _Allowed(("ip", "-j", "-s", "link")),
    "conntrack": _Allowed(
        ("sysctl", "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max")
    ),
    "conntrack-stat": _Allowed(("cat", "/proc/net/stat/nf_conntrack")),
    "nftables": _Allowed(("nft", "-j", "list", "ruleset"), privileged=True),
    "ipsec": _Allowed(("swanctl", "--list-sas", "--raw"), privileged=True),
    "xfrm": _Allowed(("ip", "-s", "xfrm", "state", "list", "nokeys"), privileged=True),
    "xfrm-stat": _Allowed(("cat", "/proc/net/xfrm_stat")),
    "openvpn": _Allowed(("cat", "/run/openvpn/status.log", "/var/log/openvpn/status.log",
                         "/run/openvpn-server/status-server.log"), privileged=True),
    "ping": _Allowed(("ping", "-n", "-c", "1", "-W", "2", _Slot.TARGET)),
    "volley": _Allowed(("ping", "-n", "-q", "-c", "20", "-i", "0.2", "-W", "1", _Slot.TARGET)),
    "nc": _Allowed(("nc", "-n", "-v", "-z", "-w", "3", _Slot.TARGET, _Slot.PORT)),
    "curl": _Allowed(("curl", "-q", "-s", "-S", "-o", "/dev/null", "-m", "5", "--connect-timeout", "3",
                      "--noproxy", "*", "-w", "%{http_code} %{time_connect} %{time_total}", _Slot.URL)),
    "traceroute": _Allowed(("traceroute", "-n", "-q", "1", "-w", "1", "-m", "20", _Slot.TARGET)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """One allowed command, with the addresses it is about."""

    name: str
    target: Address | None = None
    source: Address | None = None
    port: int | None = None

    def argv(self, *, sudo: bool = False) -> tuple[str, ...]:
        """The whole argument vector; raises `MisuseError` for what is not on the list."""
        allowed = _ALLOWED.get(self.name)
        if allowed is None:
            raise MisuseError(f"{self.name!r} is not an allowed command")
        words = tuple(word if isinstance(word, str) else self._fill(word) for word in allowed.argv)
        return (*_PREFIX, *(("sudo", "-n") if sudo and allowed.privileged else ()), *words)

    def line(self, *, sudo: bool = False) -> str:
        """The vector quoted for a POSIX shell."""
        return shlex.join(self.argv(sudo=sudo))

    def _fill(self, slot: _Slot) -> str:
        match slot:
            case _Slot.TARGET | _Slot.SOURCE:
                return self._address(slot)
            case _Slot.PORT:
                return self._port()
            case _Slot.URL:
                address = self._address(_Slot.TARGET)
                return (
                    f"http://[{address}]:{self._port()}/"
                    if ":" in address
                    else f"http://{address}:{self._port()}/"
                )

    def _port(self) -> str:
        if type(self.port) is not int or self.port not in range(1, 65_536):
            raise MisuseError(f"{self.name} needs a port, got {type(self.port).__name__}")
        return str(self.port)

    def _address(self, slot: _Slot) -> str:
        address = self.target if slot is _Slot.TARGET else self.source
        # The type is the guard: a string that looks like an address is refused as well.
        if not isinstance(address, IPv4Address | IPv6Address):
            raise MisuseError(f"{self.name} needs an address as {slot.value}, got {type(address).__name__}")
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise MisuseError(
                f"{self.name}: a scoped address names an interface, which is not ours to pass on"
            )
        return str(address)


def list_commands() -> tuple[str, ...]:
    """The names of every allowed command, sorted."""
    return tuple(sorted(_ALLOWED))
