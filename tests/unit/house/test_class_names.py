"""One class name, one meaning: no two modules define classes of the same name."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.unit.house.modules import class_names, python_files

ALLOWED_IN_LIBRARY: dict[str, str] = {}
"""Class name → why two modules of the library define it."""

ALLOWED_IN_TESTS = {
    "Asker": "tests.lab: what asks through an agent there fills the port of wire.asker",
    "Keys": "tests.lab.sshd: key files of SSH, beside the bus's keys",
    "Namespaces": "tests.lab: namespaces without the lab's plan, for networks of a few hosts",
    "Server": "tests.lab.sshd: an SSH server beside the bus server",
}
"""Class name → why a test defines a class that the library defines too."""


def defined_in(*folders: str) -> dict[str, list[Path]]:
    """By class name: the files that define it, once for each definition."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in python_files(*folders):
        for name in class_names(path):
            found[name].append(path)
    return found


def test_no_two_modules_of_the_library_define_one_class_name() -> None:
    twice = {
        name: [str(path) for path in paths]
        for name, paths in defined_in("netprobe", "agents", "benchmarks").items()
        if len(paths) > 1
    }
    assert twice.keys() == ALLOWED_IN_LIBRARY.keys(), twice


def test_no_test_gives_a_library_name_another_meaning() -> None:
    library = defined_in("netprobe", "agents", "benchmarks")
    again = {
        name: [str(path) for path in paths] for name, paths in defined_in("tests").items() if name in library
    }
    assert again.keys() == ALLOWED_IN_TESTS.keys(), again
