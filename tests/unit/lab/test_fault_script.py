"""Scripts begin in order and end in reverse; one that fails leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from netprobe.errors import SystemRefusedError
from netprobe.lab.fault_script import (
    HostScript,
    ScriptedFault,
    begin_scripts,
    end_scripts,
    write_chain,
)
from netprobe.model.component import dns
from netprobe.model.finding import Cause
from netprobe.model.ground_truth import GroundTruth
from netprobe.model.names import ClusterName

SCRIPTS = (HostScript("prod/gw", "break-a", "mend-a"), HostScript("prod/w1", "break-b", "mend-b"))


@dataclass
class RecordedHosts:
    """Hosts that note what is run on them; *failing* is refused."""

    failing: str = ""
    ran: list[tuple[str, str]] = field(default_factory=list)

    def run(self, host: str, *argv: str) -> tuple[int, str]:
        self.ran.append((host, argv[-1]))
        return (1, "no such table\n") if argv[-1] == self.failing else (0, "")


def test_scripts_begin_in_order_and_end_in_reverse() -> None:
    hosts = RecordedHosts()
    begin_scripts(hosts, SCRIPTS)
    end_scripts(hosts, SCRIPTS)
    assert [what for _, what in hosts.ran] == ["break-a", "break-b", "mend-b", "mend-a"]
    assert hosts.ran[0][0] == "prod/gw"


def test_a_script_that_fails_says_where_and_why() -> None:
    with pytest.raises(SystemRefusedError, match="the script on prod/w1 ended with 1: no such table"):
        begin_scripts(RecordedHosts(failing="break-b"), SCRIPTS)


def test_a_part_that_cannot_be_mended_keeps_no_other_from_it() -> None:
    hosts = RecordedHosts(failing="mend-b")
    end_scripts(hosts, SCRIPTS)
    assert [what for _, what in hosts.ran] == ["mend-b", "mend-a"]


def test_a_drill_knows_a_scripted_fault_by_kind_and_place() -> None:
    label = GroundTruth(Cause.DNS_DOWN, (dns(ClusterName("prod")),))
    fault = ScriptedFault("names-lost", "prod/w1", SCRIPTS, label, patience=7)
    assert (fault.drill_fault.name, fault.drill_fault.patience) == ("names-lost at=prod/w1", 7)


def test_a_chain_is_taken_away_with_its_own_table() -> None:
    begin, end = write_chain("forward", "tcp drop", "udp drop", name="-two")
    assert begin.count("add rule inet made-two c ") == 2
    assert end == "nft delete table inet made-two"
