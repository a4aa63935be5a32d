"""What hosts print over SSH: status, tunnels, rules, tools, our agent's state. All of it may be a lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, is_dataclass

from netprobe.deploy.hosts.agent import parse_agent_state
from netprobe.discovery.gateway.interface import AddressPair
from netprobe.discovery.gateway.registry import READERS
from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import CommandOutput
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.discovery.ssh.fallback_tools import read_ping_series, read_tool
from netprobe.discovery.ssh.status import read_platform, read_status
from netprobe.probes.registry import iter_kinds

_PAIR = AddressPair()
SEEDS = (
    b"src 203.0.113.1 dst 203.0.113.2\n\tlifetime current:\n\t  840(bytes), 10(packets)\n",
    b"wg0\tKEY\tPUB=\t51820\toff\nwg0\tPUB=\tKEY\t203.0.113.1:51820\t10.2.0.0/16\t1000\t100\t200\t5\n",
    b'{"nftables": [{"rule": {"family": "inet", "table": "f", "chain": "c", "handle": 4, "expr": []}}]}',
    b"list-sa event {gw {state=ESTABLISHED established=812 child-sas {n {bytes-in=8 remote-ts=[::/0]}}}}",
    b"CLIENT_LIST,b,203.0.113.2:1194,10.8.0.2,,840,1680,2026-11-25,900,UNDEF,0,0,AES\n",
    b"64 bytes from 10.3.0.2: icmp_seq=1 ttl=64 time=0.045 ms\n",
    b"20 packets transmitted, 3 received, 85% packet loss, time 3822ms\n",
    b"200 0.000512 0.001024",
    b"traceroute to 10.3.0.2 (10.3.0.2), 20 hops max\n 1  10.1.0.2  0.045 ms\n 2  *\n",
    b"placed=yes\nsha256=" + b"0" * 64 + b"\nagent=a/b/host\nbus=nats://h:1\nport=9771\nruns=no\n",
    b"7561.04 1.00\n",
    b"Python 3.11.2\n",
)


def feed(data: bytes) -> None:
    """Every reader takes the bytes or says that this is not what the command prints."""
    for collector in READERS:
        printed = {command.name: data for command in collector.commands(_PAIR)} | {"clock": b"1840\n"}
        try:
            facts = collector.read(printed)
        except HostOutputError:
            continue
        assert all(_is_shown_safely(fact) for fact in facts), facts
    answers = [
        CommandOutput(Command("ping"), data, data[:99].decode(errors="replace"), status)
        for status in (0, 1, 7)
    ]
    for answer in answers:
        _read_host(answer, data)


def _read_host(answer: CommandOutput, data: bytes) -> None:
    readers: list[Callable[[], object]] = [
        lambda: parse_agent_state(data),
        lambda: read_status("", answer, answer, answer, answer),
        lambda: read_platform(answer, answer),
        lambda: read_ping_series(data),
    ]
    for kind in iter_kinds():
        readers += [
            _tool_reader(kind.name, CommandOutput(Command(tool), data, answer.complaint, answer.status))
            for tool in kind.host_tools
        ]
    for read in readers:
        try:
            read()
        except HostOutputError as error:
            assert str(error).isprintable(), error


def _tool_reader(kind: str, answer: CommandOutput) -> Callable[[], object]:
    return lambda: read_tool(kind, answer, target="10.3.0.2", took_ns=1)


def _is_shown_safely(fact: object) -> bool:
    assert is_dataclass(fact)
    assert not isinstance(fact, type)
    texts = [each for each in astuple(fact) if isinstance(each, str)]
    return all(text.isprintable() for text in texts)
