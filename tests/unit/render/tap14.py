"""A strict reader of TAP 14, written from the grammar at the end of its specification (testanything.org).

It does not know our writer, and refuses what lenient readers pass over: a line that is none of the
grammar's, a number out of turn, a YAML block that is not indented by two spaces or not YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

VERSION = "TAP version 14"
_PLAN = re.compile(r"1\.\.(?P<count>\d+)(?: # .*)?")
_POINT = re.compile(
    r"(?P<not>not )?ok (?P<number>\d+)(?: - (?P<told>(?:[^\\#]|\\[\\#])*?))?(?P<directive> # .*)?"
)
_DIRECTIVE = re.compile(r" # (?P<word>todo|skip)\b(?: (?P<reason>.*))?", re.IGNORECASE)


class TapError(ValueError):
    """The first line that violates the grammar."""


@dataclass(frozen=True, slots=True)
class Point:
    """One test point with its directive and diagnostics."""

    is_ok: bool
    number: int
    description: str
    directive: str = ""
    diagnostics: Any = None


def read_tap(text: str) -> tuple[Point, ...]:
    """Every test point of *text*, a whole document."""
    if not text.endswith("\n"):
        raise TapError("the last line does not end")
    lines = iter(text[:-1].split("\n"))
    if next(lines) != VERSION:
        raise TapError("the first line is not the version")
    plan = _PLAN.fullmatch(next(lines, ""))
    if plan is None:
        raise TapError("the second line is not a plan")
    points = tuple(_read_body(lines))
    if [point.number for point in points] != list(range(1, int(plan["count"]) + 1)):
        raise TapError(f"the numbers are not 1 to {plan['count']}")
    return points


def _read_body(lines: Iterator[str]) -> Iterator[Point]:
    last: Point | None = None
    for line in lines:
        if line == "  ---" and last is not None and last.diagnostics is None:
            last = replace(last, diagnostics=_read_yaml(lines))
            continue
        if last is not None:
            yield last
            last = None
        if not line.startswith("#"):
            last = _read_point(line)
    if last is not None:
        yield last


def _read_point(line: str) -> Point:
    seen = _POINT.fullmatch(line)
    if seen is None:
        raise TapError(f"{line!r} is not a test point")
    directive = _DIRECTIVE.fullmatch(seen["directive"] or " # skip")
    if directive is None:
        raise TapError(f"{line!r} has a directive that is none")
    word = directive["word"].lower() if seen["directive"] else ""
    told = re.sub(r"\\([\\#])", r"\1", seen["told"] or "")
    return Point(seen["not"] is None, int(seen["number"]), told, word)


def _read_yaml(lines: Iterator[str]) -> Any:
    block: list[str] = []
    for line in lines:
        if line == "  ...":
            return yaml.safe_load("\n".join(block))
        if not line.startswith("  "):
            raise TapError(f"{line!r} is not indented as its YAML block is")
        block.append(line[2:])
    raise TapError("a YAML block does not end")
