"""No room but ``render`` and ``cli`` turns a text for people into a string to decide something by it.

The type checker refuses to compare or parse a ``Prose``. Here is the way around it: ``str()`` or an f-string
first.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = sorted([*(ROOT / "netprobe").rglob("*.py"), *(ROOT / "agents").rglob("*.py")])
EXCUSED = {
    "netprobe/model/component.py": "a detail is an identifier, read where it is written",
    "netprobe/wire/previous_build.py": "reads the sentences of builds that had nothing else",
}
PARSERS = {
    "startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "split", "rsplit",
    "splitlines", "find", "index", "count", "replace", "strip", "lower",
}  # fmt: skip


def find_prose_names(modules: list[Path]) -> set[str]:
    """Fields annotated as ``Prose`` and functions that return it."""
    names = set()
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            match node:
                case ast.AnnAssign(target=ast.Name(name), annotation=annotation) if _is_prose(annotation):
                    names.add(name)
                case ast.FunctionDef(name=name, returns=returns) if returns and _is_prose(returns):
                    names.add(name)
    return names


def _is_prose(annotation: ast.expr) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "Prose" for one in ast.walk(annotation))


def find_decisions(source: str, prose: set[str]) -> list[int]:
    """Lines that compare, search or parse a text for people, made a string first."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare(left=left, comparators=comparators):
                decided = [left, *comparators]
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in PARSERS:
                decided = [value]
            case ast.Subscript(value=value):
                decided = [value]
            case ast.Match(subject=subject):
                decided = [subject]
            case ast.Call(func=ast.Attribute(attr="match" | "fullmatch" | "search" | "findall"), args=args):
                decided = args
            case _:
                continue
        if any(_is_string_of_prose(one, prose) for one in decided):
            found.append(node.lineno)
    return found


def _is_string_of_prose(node: ast.expr, prose: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name("str"), args=[made]):
            return _names_prose(made, prose)
        case ast.JoinedStr(values=[ast.FormattedValue(value=made)]):
            return _names_prose(made, prose)
        case _:
            return False


def _names_prose(node: ast.expr, prose: set[str]) -> bool:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in prose
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name in prose
        case ast.BoolOp(values=values):
            return any(_names_prose(one, prose) for one in values)
        case _:
            return False


PROSE = find_prose_names(MODULES)


def _name(module: Path) -> str:
    return str(module.relative_to(ROOT))


def _may_decide(name: str) -> bool:
    return name in EXCUSED or name.startswith(("netprobe/render/", "netprobe/cli/"))


@pytest.mark.parametrize("module", [one for one in MODULES if not _may_decide(_name(one))], ids=_name)
def test_nothing_is_decided_by_a_sentence(module: Path) -> None:
    assert find_decisions(module.read_text(), PROSE) == []


def test_the_fields_that_hold_sentences_are_known() -> None:
    assert {"reason", "words", "detail", "describe"} <= PROSE


@pytest.mark.parametrize(
    "decision",
    [
        "str(told.reason) == 'x'",
        "'x' in str(told.reason)",
        "str(told.reason).startswith('x')",
        "f'{told.reason}'.endswith('x')",
        "str(describe(outcome)).partition(': ')",
        "str(told.reason)[:3]",
        "re.fullmatch('x', str(told.reason))",
    ],
)
def test_a_decision_by_a_sentence_is_found(decision: str) -> None:
    assert find_decisions(decision, {"reason", "describe"}) == [1]


@pytest.mark.parametrize(
    "harmless", ["str(told.agent) == 'x'", "print(str(told.reason))", "f'not asked: {told.reason}'[:9]"]
)
def test_showing_a_sentence_or_comparing_a_name_is_no_decision(harmless: str) -> None:
    assert find_decisions(harmless, {"reason"}) == []


def test_every_excuse_is_still_needed() -> None:
    assert all(find_decisions((ROOT / name).read_text(), PROSE | {"text"}) for name in EXCUSED)
