"""The score's catalogue: sixty kinds at two places each, and every script mends by name what it broke."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from benchmarks.equal_path_faults import EQUAL_PATH_FAULTS, TOPOLOGY
from benchmarks.fault_drill_cases import CATALOGUE
from benchmarks.scripted_faults import BY_NAME, SCRIPTED, UNASKED
from netprobe.lab.exports import make_inventory
from netprobe.lab.fault_script import HostScript, ScriptedFault
from netprobe.lab.planner import plan_lab
from netprobe.lab.topology import load_topology
from netprobe.planning.cluster_graph import ClusterGraph

LEAST_KINDS = 60
UNDONE_BY = {
    r"add table (\w+ [\w-]+)": "delete table {0}",
    r"ip route add ([^;]+?)(?:;|$)": "ip route del {0}",
    r"ip rule add ([^;]+?)(?:;|$)": "ip rule del {0}",
    r"(wg set \S+ peer \S+) allowed-ips": "{0} remove",
    r"sysctl -qw ([\w.]+)=0": "sysctl -qw {0}=1",
}
"""What a command of `begin` adds, and what `end` must then say with the same name."""
HARMLESS = ("add chain", "add rule", "ip neigh flush", "ip -6 neigh flush")
"""Goes with its table, or comes back by itself."""


def needed_ends(begin: str) -> Iterator[str]:
    for pattern, undo in UNDONE_BY.items():
        for found in re.findall(pattern, begin):
            yield undo.format(found.strip())


def commands(script: str) -> list[str]:
    """The commands of a shell script, those in braces of nft left whole."""
    flat = re.sub(r"\{[^}]*\}", "{}", script).replace("nft '", "").replace("'", "")
    return [command.strip() for command in flat.split(";") if command.strip()]


def scripts() -> list[tuple[str, HostScript]]:
    equal = (fault for places in EQUAL_PATH_FAULTS.values() for fault in places)
    faults = (*BY_NAME.values(), *equal)
    return [(fault.drill_fault.name, script) for fault in faults for script in fault.scripts]


def test_at_least_sixty_kinds_are_played_at_two_different_places_each() -> None:
    own = {pair[0].kind: {fault.name for fault in pair} for pair in CATALOGUE}
    scripted = {kind: {fault.place for fault in places} for kind, places in SCRIPTED.items()}
    assert own.keys().isdisjoint(scripted)
    assert len(own) + len(scripted) >= LEAST_KINDS
    assert {kind: places for kind, places in (own | scripted).items() if len(places) != 2} == {}


@pytest.mark.parametrize(
    ("name", "script"), scripts(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_script_ends_by_name_what_it_begins(name: str, script: HostScript) -> None:
    ends = commands(script.end)
    for needed in needed_ends(script.begin):
        assert needed in [end.removeprefix("nft ") for end in ends], (name, needed, script.end)


@pytest.mark.parametrize(
    ("name", "script"), scripts(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_command_of_a_script_is_one_that_is_known_to_be_undone(name: str, script: HostScript) -> None:
    for command in commands(script.begin):
        known = any(re.match(pattern, command) for pattern in UNDONE_BY)
        assert known or command.startswith(HARMLESS), (name, command)


def test_the_check_of_ends_sees_every_command_that_needs_one() -> None:
    begin = "nft 'add table inet made; add chain inet made c'; ip route add 10.0.0.1/32 dev a"
    assert list(needed_ends(begin)) == ["delete table inet made", "ip route del 10.0.0.1/32 dev a"]


def test_scripts_run_on_hosts_of_the_topology() -> None:
    hosts = {host.name for host in plan_lab(load_topology(None)).hosts}
    assert {script.host for _, script in scripts()} <= hosts


def test_faults_of_equal_links_name_links_of_their_topology() -> None:
    file = Path(str(resources.files("netprobe.lab").joinpath(TOPOLOGY)))
    inventory = make_inventory(plan_lab(load_topology(file)), mechanism="wireguard")
    graph = ClusterGraph(inventory)
    named = {hop.component for cluster in inventory.clusters for hop in graph.hops_from(cluster.name)}
    said = {part for pair in EQUAL_PATH_FAULTS.values() for fault in pair for part in fault.label.components}
    assert said == named


def test_what_no_check_asks_is_marked_and_little() -> None:
    kinds = {BY_NAME[name].kind for name in UNASKED}
    assert "gateway-drops-dscp" in kinds
    assert all(not fault.is_asked for kind in kinds for fault in SCRIPTED[kind])
    assert len(SCRIPTED) + len(CATALOGUE) - len(kinds) >= LEAST_KINDS


def test_two_places_have_different_right_answers() -> None:
    same = [kind for kind, (one, other) in _pairs() if one.label == other.label and one.is_asked]
    assert same == []


def _pairs() -> list[tuple[str, tuple[ScriptedFault, ScriptedFault]]]:
    return [(kind, (places[0], places[1])) for kind, places in SCRIPTED.items()]
