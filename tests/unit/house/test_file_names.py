"""Files are named after what they hold: nouns, no verbs and no gerunds.

Rule: the last word of a name counts, as in ``plan_rotation``; a test is named after what it tests.
"""

from __future__ import annotations

from pathlib import Path

from tests.unit.house.modules import python_files

VERBS = frozenset(
    [
        "apply",
        "arrive",
        "ask",
        "become",
        "begin",
        "bring",
        "carry",
        "choose",
        "close",
        "collect",
        "come",
        "compose",
        "connect",
        "create",
        "decide",
        "deliver",
        "deploy",
        "describe",
        "destroy",
        "explain",
        "expose",
        "fetch",
        "find",
        "follow",
        "gather",
        "get",
        "give",
        "go",
        "guess",
        "handle",
        "hold",
        "identify",
        "install",
        "join",
        "judge",
        "keep",
        "leave",
        "listen",
        "load",
        "locate",
        "look",
        "make",
        "observe",
        "open",
        "parse",
        "publish",
        "put",
        "read",
        "reflect",
        "remove",
        "resolve",
        "say",
        "score",
        "send",
        "serve",
        "set",
        "settle",
        "show",
        "simulate",
        "start",
        "stop",
        "suppose",
        "take",
        "talk",
        "tell",
        "uninstall",
        "update",
        "verify",
        "walk",
        "weigh",
        "why",
        "write",
    ]
)
"""Verbs that are no names of things; words that are both, as report, check or watch, are not among them."""

NOUNS = frozenset({"keyring", "ping", "ring", "string"})
"""Words that end like a gerund."""

COMMANDS = (Path("netprobe/cli/commands"), Path("netprobe/cli/actions"))
"""Each file here is called as the command that it defines or runs; tests of a command are, too."""

ALLOWED = {
    "agents/netprobe_agent/gc_tuning.py": "tuning of the garbage collector, as its literature calls it",
    "agents/netprobe_agent/serve.py": "the agent's subcommand",
    "netprobe/analysis/gateway_evidence/weighting.py": "weighting: the noun of statistics",
    "netprobe/model/finding.py": "a finding, the product's word",
    "netprobe/probes/wording.py": "wording: the noun for a choice of words",
    "tests/unit/analysis/test_slow_and_flapping.py": "two adjectives: paths that are slow, paths that flap",
}
"""File → why its name may stay."""


def is_misnamed(path: Path) -> bool:
    *_, word = path.stem.removeprefix("test_").split("_")
    return word in VERBS or (word.endswith("ing") and word not in NOUNS)


def commands() -> set[str]:
    return {path.stem for path in python_files(*map(str, COMMANDS))}


def misnamed(*folders: str) -> set[str]:
    """Paths whose names are verbs, but for commands and their tests."""
    allowed = commands()
    return {
        str(path)
        for path in python_files(*folders)
        if is_misnamed(path)
        and not any(path.is_relative_to(folder) for folder in COMMANDS)
        and not (path.parts[0] == "tests" and path.stem.removeprefix("test_") in allowed)
    }


def test_the_rule_finds_gerunds_and_verbs() -> None:
    assert is_misnamed(Path("netprobe/cli/looking.py"))
    assert is_misnamed(Path("netprobe/analysis/carry.py"))
    assert is_misnamed(Path("tests/unit/cli/test_looking.py"))
    assert not is_misnamed(Path("netprobe/collector/plan_rotation.py"))
    assert not is_misnamed(Path("netprobe/probes/ping.py"))


def test_files_are_named_by_nouns() -> None:
    found = misnamed("netprobe", "agents", "tests")
    assert found == ALLOWED.keys(), sorted(found ^ ALLOWED.keys())
