"""``python -m benchmarks NAME [--json]``; each benchmark is one file and one line in ``BENCHMARKS``."""

from __future__ import annotations

import argparse
import importlib
import json

BENCHMARKS = {
    "agent": "benchmarks.agent",
    "chaos": "benchmarks.chaos",
    "cli": "benchmarks.cli",
    "discovery": "benchmarks.discovery",
    "evidence": "benchmarks.evidence",
    "fabric-scale": "benchmarks.fabric_scale",
    "fabrics": "benchmarks.fabric_claims",
    "flood": "benchmarks.flood",
    "ingest": "benchmarks.ingest",
    "lab-score": "benchmarks.lab_score",
    "localise": "benchmarks.localisation",
    "planning": "benchmarks.planner",
    "selective": "benchmarks.selective_faults",
    "ssh": "benchmarks.ssh",
    "sweep": "benchmarks.sweep",
    "verify": "benchmarks.verify",
    "week": "benchmarks.false_alarm_week",
}
"""Each module has ``run(arguments: list[str]) -> dict[str, object]`` and names what it compares."""


def main() -> None:
    """Run one benchmark and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of the benchmark: NAME --help shows them")
    chosen = parser.parse_args()
    rest = [option for option in chosen.options if option != "--json"]
    figures = importlib.import_module(BENCHMARKS[chosen.name]).run(rest)
    if chosen.json or len(rest) < len(chosen.options):
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        print(f"{name:34} {value}")


if __name__ == "__main__":
    main()
