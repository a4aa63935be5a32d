"""The folder of a lab, and the requests that its supervisor accepts."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from netprobe.errors import InputError, SystemRefusedError
from netprobe.lab.control_server import receive_request
from netprobe.lab.protocol import AddFault, Exec, StatusRequest
from netprobe.lab.state_folder import (
    LabFacts,
    StateFolder,
    claim_state,
    find_state,
    is_lab_process,
    list_labs,
)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_ours_alone(runtime: Path) -> None:
    state = claim_state("one")
    assert state.root == runtime / "netprobe" / "one"
    assert state.root.stat().st_mode & 0o777 == 0o700
    assert state.root.parent.stat().st_mode & 0o777 == 0o700
    assert list_labs() == ("one",)


def test_the_last_lab_takes_the_folder_of_labs_with_it(runtime: Path) -> None:
    one, two = claim_state("one"), claim_state("two")
    one.remove()
    assert list_labs() == ("two",)
    two.remove()
    assert list(runtime.iterdir()) == []


def test_a_folder_that_others_can_enter_is_refused(runtime: Path) -> None:
    (runtime / "netprobe").mkdir(mode=0o755)
    with pytest.raises(SystemRefusedError, match="is accessible to other users"):
        claim_state("one")


def test_a_dead_labs_folder_says_how_to_remove_it(runtime: Path) -> None:
    claim_state("one").write_facts(LabFacts("one", 2**22 + 1, 1, 1))
    with pytest.raises(InputError, match="crashed and left files"):
        claim_state("one")


def test_facts_come_back_as_they_were_written(runtime: Path) -> None:
    state = claim_state("one")
    assert state.read_facts() is None
    facts = LabFacts("one", 17, 4711, 10**9)
    state.write_facts(facts)
    assert state.read_facts() == facts


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"surprise": 1}'])
def test_damaged_facts_are_one_line_that_names_the_file(runtime: Path, text: str) -> None:
    state = claim_state("one")
    state.facts.write_text(text)
    with pytest.raises(InputError, match=r"lab\.json: is not a valid lab.json"):
        state.read_facts()


def test_a_stranger_with_the_same_number_is_no_lab() -> None:
    assert not is_lab_process(os.getpid())


@pytest.mark.parametrize("name", ["", "A", "../up", "a/b", "-a", "x" * 33])
def test_a_name_must_be_able_to_be_a_folder(runtime: Path, name: str) -> None:
    with pytest.raises(InputError, match="is not a lab name"):
        find_state(name)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(SystemRefusedError, match="too long for a socket"):
        find_state("one")


def test_names_of_agents_become_file_names(tmp_path: Path) -> None:
    assert StateFolder(tmp_path).log("a/b/pod") == tmp_path / "logs" / "a.b.pod.log"


def send(data: bytes, *fds: int) -> tuple[object, list[int]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(ours, [data], fds) if fds else ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        received: list[int] = []
        try:
            return receive_request(theirs, received), received
        finally:
            for fd in received:
                os.close(fd)


def test_a_request_arrives_with_its_open_files() -> None:
    line = json.dumps({"type": "exec", "host": "ops", "argv": ["true"]}).encode() + b"\n"
    request, fds = send(line, 0, 1, 2)
    assert request == Exec("ops", ["true"])
    assert len(fds) == 3
    assert send(b'{"type": "status"}\n')[0] == StatusRequest()
    line = b'{"type": "add-fault", "kind": "k", "parameters": {"a": "b"}}\n'
    assert send(line)[0] == AddFault("k", {"a": "b"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"type": "dance"}\n',
        b'{"type": "status"}',
        b'{"type": "status", "x": 1}\n',
        b"\xff\n",
    ],
)
def test_what_is_no_request_is_one_clear_error(data: bytes) -> None:
    with pytest.raises(InputError):
        send(data)
