"""``python -m tests.fuzz [--seconds N] [TARGET…]``: coverage-guided fuzzing of the decoders with atheris.

Each target runs in a process of its own. The corpus it finds stays in ``build/fuzz/TARGET`` and is used
again; a crash is written to ``build/fuzz/TARGET-crash-…`` and ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS, load

FOLDER = Path("build/fuzz")
CHILD = """
import sys, atheris
with atheris.instrument_imports(include=["netprobe", "msgspec", "yaml"], enable_loader_override=False):
    from tests.fuzz.targets import load
    target = load(sys.argv.pop(1))
def feed_one(data):
    target.feed(data)
atheris.Setup(sys.argv, feed_one)
atheris.Fuzz()
"""


def fuzz(name: str, *, seconds: int) -> bool:
    """Fuzz one target for so long; whether it held."""
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(load(name).SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = (f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1", "-verbosity=0")
    command = (sys.executable, "-c", CHILD, name, str(corpus), *options)
    done = subprocess.run(
        [*command, f"-artifact_prefix={FOLDER / name}-"], stderr=subprocess.PIPE, check=False
    )
    said = done.stderr.decode(errors="replace").splitlines()
    runs = next((line.split()[-1] for line in said if "number_of_executed_units" in line), "?")
    print(
        f"{name:12} {runs:>12} inputs in {seconds} s: {'held' if done.returncode == 0 else 'CRASHED'}",
        flush=True,
    )
    if done.returncode:
        print("\n".join(said[-40:]), file=sys.stderr, flush=True)
    return done.returncode == 0


def main() -> int:
    """Fuzz the targets named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=120, help="time for each target (default: 120)")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.targets) - set(TARGETS)):
        parser.error(f"unknown target {', '.join(unknown)}; known: {', '.join(TARGETS)}")
    held = [fuzz(name, seconds=chosen.seconds) for name in chosen.targets or TARGETS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
