"""``python -m tests.attack [--json] [KIND…]``: attack our bus, agents, collector and views on loopback.

Prints what held and what fell. The exit code is 1 where anything fell.

With ``--without-guards [FAULT…]`` the guards that close known faults are taken away one after the other, and
the attacks that should notice are run: it prints what fell then. The exit code is 1 where a fault is not
found: an attack that cannot fail proves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from tests.attack.experiments import EXPERIMENTS
from tests.attack.removed_guards import FAULTS, REMOVED_GUARDS, RemovedGuard


def main() -> int:
    """Run the kinds or faults named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME",
        help=f"kinds: {', '.join(EXPERIMENTS)}; with --without-guards: {', '.join(FAULTS)}; default: all",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--without-guards", action="store_true", help="show that each attack can fail")
    chosen = parser.parse_args()
    known: Collection[str] = FAULTS if chosen.without_guards else EXPERIMENTS
    if unknown := sorted(set(chosen.names) - set(known)):
        parser.error(f"unknown: {', '.join(unknown)}")
    attack = attack_without_guards if chosen.without_guards else attack_with_guards
    return attack(chosen.names or known, as_json=chosen.json)


def attack_with_guards(kinds: Collection[str], *, as_json: bool) -> int:
    """Attack as we are; 1 where anything fell."""
    said = {}
    for kind in kinds:
        tally = asyncio.run(EXPERIMENTS[kind]())
        said[kind] = {**tally.counts(), "what_fell": tally.fell}
        if not as_json:
            _print_counts(kind, tally.counts())
            print("".join(f"  fell: {what}\n" for what in tally.fell), end="", flush=True)
    if as_json:
        print(json.dumps(said, indent=1))
    return 1 if any(kind["fell"] for kind in said.values()) else 0


def attack_without_guards(faults: Collection[str], *, as_json: bool) -> int:
    """Attack without one guard after the other; 1 where a fault is not found."""
    said = {}
    for fault in faults:
        rows = [row for row in REMOVED_GUARDS if row.fault == fault]
        found = [_attack_without(row, is_quiet=as_json) for row in rows]
        said[fault] = {
            "kinds": list(dict.fromkeys(kind for row in rows for kind in row.kinds)),
            **{name: sum(each[name] for each in found) for name in ("tried", "held", "fell")},
            "found": all(each["found"] for each in found),
            "guards": found,
        }
    if as_json:
        print(json.dumps(said, indent=1))
    return 0 if all(each["found"] for each in said.values()) else 1


def _attack_without(row: RemovedGuard, *, is_quiet: bool) -> dict[str, Any]:
    tallies = asyncio.run(row.attack())
    counts = Counter[str]()
    for tally in tallies.values():
        counts.update(tally.counts())
    is_found = row.is_found(tallies)
    if not is_quiet:
        _print_counts(f"{row.fault} {', '.join(row.kinds)}", counts)
        print(f"  {'found' if is_found else 'NOT FOUND'} without: {row.guard}", flush=True)
    return {"guard": row.guard, "kinds": list(row.kinds), **counts, "found": is_found}


def _print_counts(name: str, counts: Mapping[str, int]) -> None:
    print(f"{name:34} tried {counts['tried']:4}  held {counts['held']:4}  fell {counts['fell']:4}")


if __name__ == "__main__":
    sys.exit(main())
