"""Help texts and shell completion load nothing that only a running command needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.unit.cli.test_help import EVERY

HEAVY = frozenset({
    "aiohttp", "asyncssh", "cryptography", "jinja2", "jwt", "kubernetes", "matplotlib", "nats", "networkx",
    "numpy", "prometheus_client", "pyroute2", "rich", "sqlalchemy",
})  # fmt: skip
"""Of these, none may be imported; so fast a help text is that a person does not wait for it."""
LOOK = """
import atexit, json, sys
atexit.register(lambda: print("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules}))))
from netprobe.cli.main import main
sys.argv = ["netprobe", *sys.argv[1:]]
main()
"""


def run(*words: str, **environment: str) -> tuple[str, frozenset[str]]:
    """What a fresh interpreter prints for ``netprobe WORDS``, and the packages it has imported by then."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *words], env=environment, capture_output=True, text=True, check=True
    )
    printed, _, modules = done.stdout.rstrip().rpartition("\n")
    return printed, frozenset(json.loads(modules))


@pytest.mark.parametrize(("path", "command"), EVERY)
def test_help_imports_nothing_heavy(path: tuple[str, ...], command: object) -> None:
    del command
    printed, modules = run(*path, "--help")
    assert printed.startswith(f"Usage: netprobe {' '.join(path)}".rstrip())
    assert {"click", "netprobe"} <= modules
    assert not HEAVY & modules


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("netprobe sh", {"show"}),
        ("netprobe show ma", {"matrix"}),
        ("netprobe show --plane ", {"host", "pod"}),
        ("netprobe show matrix --by ", {"cluster", "node"}),
        ("netprobe check a b --probe tc", {"tcp"}),
        ("netprobe report -o js", {"json"}),
        ("netprobe report diff --fail-on le", {"leak"}),
        ("netprobe simulate --links h", {"hub"}),
        ("netprobe verify --locate d", {"differing"}),
        ("netprobe install --with fl", {"flat"}),
        ("netprobe lab fault re", {"remove"}),
    ],
)
def test_a_tab_offers_names_and_imports_nothing_heavy(words: str, offered: set[str]) -> None:
    printed, modules = run(
        _NETPROBE_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
    )
    assert {line.partition(",")[2] for line in printed.split()} == offered
    assert not HEAVY & modules


def test_a_tab_offers_the_kinds_of_faults() -> None:
    """The lab's faults themselves need netlink; help does not name them, so only this Tab imports it."""
    printed, _ = run(
        _NETPROBE_COMPLETE="bash_complete", COMP_WORDS="netprobe lab fault add tunnel-d", COMP_CWORD="4"
    )
    assert "tunnel-down" in printed
