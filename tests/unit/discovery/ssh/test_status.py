"""What a host says it is: read strictly, shown safely."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.discovery.ssh.allowed_commands import Command
from netprobe.discovery.ssh.connection import CommandOutput
from netprobe.discovery.ssh.errors import HostOutputError
from netprobe.discovery.ssh.status import HostStatus, read_status
from netprobe.render.terminal.sites import HostRow, sites_document, sites_table
from netprobe.render.terminal.tables import render_text


def said(name: str, output: bytes) -> CommandOutput:
    return CommandOutput(Command(name), output, "", 0)


def status(
    uptime: bytes = b"7561.04 1.00\n",
    kernel: bytes = b"Linux 6.1 x86_64\n",
    python: bytes = b"Python 3.11.2\n",
    tools: bytes = b"/usr/bin/wg\n/bin/ping\n",
) -> HostStatus:
    words = {"uptime": uptime, "kernel": kernel, "python": python, "tools": tools}
    return read_status("SHA256:x", *(said(name, output) for name, output in words.items()))


def test_a_host_is_read() -> None:
    assert status() == HostStatus("SHA256:x", 7561, "Linux 6.1 x86_64", (3, 11), ("ping", "wg"))


@pytest.mark.parametrize(
    ("python", "runs"),
    [(b"Python 3.11.2\n", True), (b"Python 3.9.2\n", False), (b"", False), (b"zsh: ?", False)],
)
def test_only_a_recent_python_runs_agents(python: bytes, runs: bool) -> None:
    assert status(python=python).runs_agents is runs


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_hostile_words_are_a_status_or_our_error(
    uptime: bytes, kernel: bytes, python: bytes, tools: bytes
) -> None:
    with contextlib.suppress(HostOutputError):
        assert status(uptime, kernel, python, tools).kernel.isprintable()
    assert status(kernel=kernel, python=python, tools=tools).kernel.isprintable()


def test_who_does_not_answer_is_told_first_and_has_no_figures() -> None:
    rows = (
        HostRow("a/gw", "10.0.0.1", (), status(), None, None),
        HostRow("b/gw", "10.0.0.2", ("bastion",), None, None, "10.0.0.2: no answer within 10 s"),
    )
    told = render_text(sites_table(rows), width=80)
    assert told.startswith("1 of 2 hosts answer\n\n ✕ b/gw 10.0.0.2: no answer within 10 s\n")
    hosts = sites_document(rows)["hosts"]
    assert isinstance(hosts, list)
    assert (hosts[1]["answers"], hosts[1]["uptime_s"], hosts[1]["facts"]) == (False, None, None)
