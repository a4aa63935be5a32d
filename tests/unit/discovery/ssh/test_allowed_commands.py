"""What may be run on a host: fixed words, and nothing that a stranger wrote."""

from __future__ import annotations

import shlex
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.discovery.ssh.allowed_commands import Command, list_commands
from netprobe.errors import MisuseError

TOOLS = ("ping", "nc", "curl", "traceroute", "volley")
FREE_OF_ADDRESSES = [name for name in list_commands() if not name.startswith("route") and name not in TOOLS]


def test_a_command_is_quoted_word_by_word() -> None:
    line = Command("route", target=ip_address("10.2.0.9")).line()
    assert line.endswith("ip -j route get 10.2.0.9")
    assert shlex.split(line) == list(Command("route", target=ip_address("10.2.0.9")).argv())


@given(st.ip_addresses(), st.ip_addresses())
def test_an_address_adds_one_word_and_never_a_quote(target: Any, source: Any) -> None:
    words = Command("route-from", target=target, source=source).argv()
    assert words[-3:] == (str(target), "from", str(source))
    assert len(words) == 10


@pytest.mark.parametrize("wrong", ["10.0.0.1", "10.0.0.1; reboot", None, ip_address("fe80::1%$(reboot)")])
def test_what_is_not_an_address_is_refused(wrong: Any) -> None:
    with pytest.raises(MisuseError):
        Command("route", target=wrong).line()


@pytest.mark.parametrize("name", ["reboot", "", "wireguard; reboot"])
def test_what_is_not_on_the_list_is_refused(name: str) -> None:
    with pytest.raises(MisuseError, match="not an allowed command"):
        Command(name).line()


@pytest.mark.parametrize("name", FREE_OF_ADDRESSES)
def test_no_command_of_the_list_holds_anything_a_shell_would_obey(name: str) -> None:
    words = Command(name).argv()
    assert shlex.split(Command(name).line()) == list(words)
    assert all(word.isprintable() and "`" not in word and ";" not in word for word in words)


def test_only_what_needs_privilege_goes_through_sudo() -> None:
    assert "sudo -n wg show all dump" in Command("wireguard").line(sudo=True)
    assert "sudo" not in Command("uptime").line(sudo=True)


@given(st.ip_addresses(), st.integers(1, 65_535))
def test_a_tool_is_told_an_address_and_a_port_and_nothing_else(target: Any, port: int) -> None:
    assert Command("nc", target, port=port).argv()[-2:] == (str(target), str(port))
    host = f"[{target}]" if target.version == 6 else str(target)
    assert Command("curl", target, port=port).argv()[-1] == f"http://{host}:{port}/"


@pytest.mark.parametrize("wrong", [0, 65_536, -1, "80", "80; reboot", None, True])
def test_what_is_no_port_is_refused(wrong: Any) -> None:
    with pytest.raises(MisuseError):
        Command("nc", ip_address("10.3.0.2"), port=wrong).line()
