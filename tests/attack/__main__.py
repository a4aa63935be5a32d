"""``python -m tests.attack [--json] [KIND…]``: attack our bus and our agents on loopback.

Prints what held and what fell.

The exit code is 1 where anything fell.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from tests.attack.experiments import EXPERIMENTS


def main() -> int:
    """Run the kinds named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument(
        "kinds", nargs="*", metavar="KIND", help=f"of: {', '.join(EXPERIMENTS)}; default: all"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.kinds) - EXPERIMENTS.keys()):
        parser.error(f"unknown kind {', '.join(unknown)}")
    told = {}
    for kind in chosen.kinds or EXPERIMENTS:
        tally = asyncio.run(EXPERIMENTS[kind]())
        told[kind] = {**tally.counts(), "what_fell": tally.fell}
        if not chosen.json:
            counts = tally.counts()
            print(f"{kind:34} tried {counts['tried']:4}  held {counts['held']:4}  fell {counts['fell']:4}")
            print("".join(f"  fell: {what}\n" for what in tally.fell), end="", flush=True)
    if chosen.json:
        print(json.dumps(told, indent=1))
    return 1 if any(kind["fell"] for kind in told.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
