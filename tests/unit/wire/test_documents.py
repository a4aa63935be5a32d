"""Documents that people write: every mistake is one line that says where."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import InputError
from netprobe.wire.documents import Located, parse_document, read_document


class Item(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    port: int = 1


class Doc(msgspec.Struct, forbid_unknown_fields=True):
    items: list[Item]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("items:\n  - name: a\n    port: x\n", "f.yaml:3:5: items[0].port: ", id="wrong type"),
        pytest.param("items:\n  - name: a\n    prot: 1\n", "f.yaml:3:5: items[0]: ", id="unknown field"),
        pytest.param("items:\n  - port: 1\n", "f.yaml:2:5: items[0]: ", id="missing field"),
        pytest.param("items: []\nitems: []\n", "f.yaml:2:1: items: is given twice", id="key twice"),
        pytest.param("items: [\n", "f.yaml:2:1: is not YAML: ", id="not YAML"),
        pytest.param("", "f.yaml: is empty", id="empty"),
        pytest.param("items: !!python/object:os.system {}\n", "f.yaml:1:1: items: ", id="tagged object"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_document(text, Doc, source="f.yaml")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_reads_what_is_right(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("items:\n  - {name: a, port: 3}\n")
    assert read_document(tmp_path / "a.yaml", Doc) == Doc([Item("a", 3)])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read"):
        read_document(tmp_path / "nowhere.yaml", Doc)


@given(st.text())
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        parse_document(text, Doc, source="f.yaml")
    except InputError as error:
        assert "\n" not in str(error)


def test_each_document_of_a_stream_knows_its_own_lines() -> None:
    first, second = Located.each("# a\n---\n---\na: 1\n---\nb:\n  c: 2\n", source="f.yaml")
    assert (first.data, second.data) == ({"a": 1}, {"b": {"c": 2}})
    assert (first.place("a"), second.place("b", "c")) == ("f.yaml:4:1", "f.yaml:7:3")


def test_a_part_of_a_document_is_read_with_its_whole_path() -> None:
    (located,) = Located.each("list:\n  - name: a\n    port: x\n", source="f.yaml")
    with pytest.raises(InputError, match=r"^f\.yaml:3:5: list\[0\]\.port: "):
        located.convert({"name": "a", "port": "x"}, Item, "list", 0)
