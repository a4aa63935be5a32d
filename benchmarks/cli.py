"""How long the command line takes to answer, beside the build before its imports moved into command bodies.

Measured is the processor time (user and system) of child processes, interpreter start included: the median
of several runs, taken in turn with the other build, after one run that is not counted. ``help_s`` is
``netprobe --help``, ``slowest_help_s`` the slowest ``--help`` of any command, ``completion_s`` a Tab after
``netprobe``, and ``show_s`` ``netprobe show --from`` a bundle of 50 nodes that the build before has written.
That build is a checkout with its own ``.venv`` (``--baseline``), or a git worktree of ``BASELINE`` that runs
with this interpreter and these packages.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from netprobe.cli.main import cli

BASELINE = "6b93e62"
"""The commit before; its ``--help`` imported every command with all that it needs."""
ROOT = Path(__file__).parents[1]
_MAIN = "import sys; from netprobe.cli.main import main; sys.argv[0] = 'netprobe'; main()"
_FLEET = ("--clusters", "5", "--nodes", "10", "--intervals", "6")


@dataclass(frozen=True, slots=True)
class Build:
    """A checkout and the interpreter that runs it."""

    folder: Path
    python: Path

    def run(self, *words: str, **environment: str) -> float:
        """Processor time of ``netprobe WORDS`` in seconds; an exit code above 1 is an error."""
        before = _children_s()
        done = subprocess.run(
            [self.python, "-c", _MAIN, *words], cwd=self.folder, env=os.environ | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        took_s = _children_s() - before
        if done.returncode > 1:
            raise SystemExit(f"{self.folder}: netprobe {' '.join(words)}: {done.stderr.strip()}")
        return took_s


def run(arguments: list[str]) -> dict[str, object]:
    """Measure both builds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cli", description=__doc__)
    parser.add_argument("--baseline", type=Path, metavar="DIR", help=f"a checkout; default: {BASELINE}")
    parser.add_argument("--runs", type=int, default=7, help="runs of which the median counts")
    asked = parser.parse_args(arguments)
    now = Build(ROOT, Path(sys.executable))
    with tempfile.TemporaryDirectory() as folder, _open_baseline(asked.baseline, Path(folder)) as before:
        bundle = str(Path(folder) / "evidence")
        before.run("simulate", *_FLEET, "--evidence", bundle)
        help_s, baseline_help_s = _measure((now, before), asked.runs, "--help")
        show_s, baseline_show_s = _measure((now, before), asked.runs, "show", "--from", bundle)
        (completion_s,) = _measure(
            (now,), asked.runs, _NETPROBE_COMPLETE="bash_complete", COMP_WORDS="netprobe ", COMP_CWORD="1"
        )
        helps = {path: _measure((now,), asked.runs, *path, "--help")[0] for path in _find_commands(cli)}
    slowest = max(helps, key=lambda path: helps[path])
    return {
        "help_s": help_s,
        "slowest_help_s": helps[slowest],
        "slowest_help": " ".join(slowest),
        "completion_s": completion_s,
        "show_s": show_s,
        "baseline_help_s": baseline_help_s,
        "baseline_show_s": baseline_show_s,
        "ratio": round(baseline_help_s / help_s, 1),
    }


def _measure(builds: Sequence[Build], runs: int, *words: str, **environment: str) -> list[float]:
    """The median of each build; the builds take turns, so that a busy machine slows both."""
    for build in builds:
        build.run(*words, **environment)  # compiles, and brings the files into memory
    took = [[build.run(*words, **environment) for build in builds] for _ in range(runs)]
    return [round(statistics.median(of_build), 3) for of_build in zip(*took, strict=True)]


def _find_commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    if path:
        yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if below := command.get_command(context, name):
                yield from _find_commands(below, *path, name)


@contextmanager
def _open_baseline(checkout: Path | None, scratch: Path) -> Iterator[Build]:
    if checkout is not None:
        checkout = checkout.resolve()
        python = checkout / ".venv/bin/python"
        yield Build(checkout, python if python.exists() else Path(sys.executable))
        return
    folder = scratch / "baseline"
    git = ("git", "-C", str(ROOT), "worktree")
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), BASELINE], check=True)
    try:
        yield Build(folder, Path(sys.executable))
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
