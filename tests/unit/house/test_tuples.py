"""Named tuples that are made by position have a value for every field: `tuple.__new__` checks nothing."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.unit.house.modules import python_files

MADE_BY_POSITION = [
    path for path in python_files("netprobe", "agents") if "= tuple.__new__" in path.read_text()
]


@pytest.mark.parametrize("path", MADE_BY_POSITION, ids=str)
def test_every_field_has_a_value(path: Path) -> None:
    module = importlib.import_module(".".join(path.with_suffix("").parts))
    made = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_make"
    ]
    assert made
    for call in made:
        kind, values = call.args
        assert isinstance(values, ast.Tuple)
        cls = eval(ast.unparse(kind), vars(module))
        assert len(values.elts) == len(cls._fields), f"{path}:{call.lineno}: {ast.unparse(kind)}"
