"""``--pcap`` of ``verify`` and ``why``: what agents of a running lab sent and heard, read back by tshark."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.conftest import FullLab
from tests.lab.intents import GROUPS, OPEN, SOURCE, TARGET
from tests.lab.namespaces import need_namespaces

pytestmark = [
    pytest.mark.lab,
    need_namespaces(),
    pytest.mark.skipif(shutil.which("tshark") is None, reason="not installed: tshark"),
]


@pytest.fixture(scope="module")
def name(healthy_lab: FullLab) -> str:
    return healthy_lab.name


def netprobe(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "netprobe", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def read_back(path: Path, *fields: str) -> list[list[str]]:
    """The packets of a file, as tshark reads them."""
    chosen = [word for field in fields for word in ("-e", field)]
    argv = ["tshark", "-r", str(path), "-T", "fields", *chosen]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_verify_writes_questions_and_answers_of_every_protocol(name: str, tmp_path: Path) -> None:
    file = tmp_path / "seen.pcapng"
    (tmp_path / "wanted.yaml").write_text(f"{GROUPS}rules: [{OPEN}]")
    done = netprobe("verify", "-f", str(tmp_path / "wanted.yaml"), "--lab", name, "--pcap", str(file))
    assert done.returncode == 0, done.stderr
    assert f"{file}: " in done.stderr
    seen = read_back(file, "ip.proto", "tcp.flags", "tcp.dstport", "udp.dstport", "icmp.type")
    protocols = {row[0] for row in seen}
    assert {"1", "6", "17"} <= protocols
    assert any(row[1] == "0x0002" and row[2] == "9771" for row in seen), seen  # our SYN
    assert any(row[1] == "0x0012" for row in seen), seen  # its SYN ACK
    assert {"8", "0"} <= {row[4] for row in seen}  # the echo and its reply


def test_why_writes_what_it_asked_and_refuses_where_it_asks_nothing(name: str, tmp_path: Path) -> None:
    file = tmp_path / "why.pcapng"
    pair = (SOURCE, f"{TARGET}/pod", "--lab", name)
    refused = netprobe("why", *pair, "--pcap", str(file))
    assert refused.returncode == 2
    assert refused.stderr.strip().endswith("--pcap: no packet is sent without --ask or --patient")
    assert not file.exists()
    done = netprobe("why", *pair, "--ask", "--pcap", str(file))
    assert done.returncode in {0, 1}, done.stderr
    written = int(done.stderr.rpartition(f"{file}: ")[2].split()[0])
    assert len(read_back(file, "frame.number")) == written > 0


def test_a_watch_takes_no_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "wanted.yaml").write_text(f"{GROUPS}rules: [{OPEN}]")
    words = ("-f", str(tmp_path / "wanted.yaml"), "--lab", name, "--watch", "1", "--pcap", "x.pcapng")
    refused = netprobe("verify", *words)
    assert refused.returncode == 2
    assert refused.stderr.strip().endswith("--pcap: is for one verification, not for --watch")
