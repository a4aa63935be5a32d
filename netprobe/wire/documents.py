"""YAML documents that people write: read strictly, with the line and column of what is wrong.

Rules: only plain YAML data; a key twice, an unknown field, a wrong type or a missing field is one
:class:`~netprobe.errors.InputError` that names ``file:line:column`` and the field. ``yaml`` is imported when
a document is read, so that the agent, which reads none, stays light.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from netprobe.errors import InputError

if TYPE_CHECKING:
    import yaml

T = TypeVar("T")
FieldPath = tuple[str | int, ...]
Marks = dict[FieldPath, tuple[int, int]]

_SCALARS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float",
            "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"}  # fmt: skip
_MAX_BYTES = 16 * 1024 * 1024


def read_document(path: Path, kind: type[T]) -> T:
    """Read the YAML file *path* as *kind* (a ``msgspec.Struct`` that forbids unknown fields).

    Raises :class:`InputError` naming file, line, column and field.
    """
    text = read_text(path, limit=_MAX_BYTES)
    return parse_document(text, kind, source=str(path))


def read_text(path: Path, *, limit: int) -> str:
    """The text of the file *path*, at most *limit* bytes of UTF-8; :class:`InputError` otherwise."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(raw) > limit:
        raise InputError(f"is more than {limit} bytes; such a document may have {limit}", where=f"{path}:1:1")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})", where=str(path)) from error


def parse_document(text: str, kind: type[T], *, source: str) -> T:
    """Read YAML *text* as *kind*; *source* is the file named in errors."""
    data, marks = _compose(text, source=source)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        what, path = _split_error(str(error))
        raise InputError(_say(what, path), where=_place(path, what, marks, source=source)) from error


class Located:
    """A document together with where each field stands, for checks that span several fields."""

    def __init__(self, text: str, *, source: str) -> None:
        self.data, self._marks = _compose(text, source=source)
        self._source = source

    @classmethod
    def each(cls, text: str, *, source: str) -> tuple[Located, ...]:
        """Every document of a stream (``---`` between them) that is not empty."""
        found = []
        for data, marks in _compose_stream(text, source=source):
            one = cls.__new__(cls)
            one.data, one._marks, one._source = data, marks, source
            found.append(one)
        return tuple(found)

    def convert(self, data: object, kind: type[T], *path: str | int) -> T:
        """Read *data*, which stands at *path*, as *kind*; :class:`InputError` naming place and field."""
        try:
            return msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            what, tail = _split_error(str(error))
            full = (*path, *tail)
            where = _place(full, what, self._marks, source=self._source)
            raise InputError(_say(what, full), where=where) from error

    def error(self, what: str, *path: str | int) -> InputError:
        """An error at the field *path* (as deep as it is known)."""
        return InputError(_say(what, path), where=self.place(*path))

    def place(self, *path: str | int) -> str:
        """``file:line:column`` of the field *path*."""
        return _place(path, "", self._marks, source=self._source)


def _compose(text: str, *, source: str) -> tuple[object, Marks]:
    nodes = _compose_nodes(text, source=source, only_one=True)
    if not nodes:
        raise InputError("is empty", where=source)
    builder = _PlainBuilder(source)
    return builder.build(nodes[0], ()), builder.marks


def _compose_stream(text: str, *, source: str) -> Iterator[tuple[object, Marks]]:
    for node in _compose_nodes(text, source=source, only_one=False):
        builder = _PlainBuilder(source)
        data = builder.build(node, ())
        if data is not None:
            yield data, builder.marks


def _compose_nodes(text: str, *, source: str, only_one: bool) -> list[yaml.Node]:
    """The documents' nodes; with *only_one*, a second document is an error."""
    import yaml  # noqa: PLC0415 - see the header

    class PlainLoader(yaml.SafeLoader):
        """No anchors and aliases: a few lines of them stand for gigabytes."""

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            event = self.peek_event()  # type: ignore[no-untyped-call]
            if getattr(event, "anchor", None) is not None:
                mark = event.start_mark
                where = f"{source}:{mark.line + 1}:{mark.column + 1}"
                raise InputError(f"anchors and aliases are not taken here ({event.anchor!r})", where=where)
            return super().compose_node(parent, index)

    try:
        if only_one:
            node = yaml.compose(text, Loader=PlainLoader)
            return [] if node is None else [node]
        return list(yaml.compose_all(text, Loader=PlainLoader))
    except RecursionError as error:
        raise InputError("is nested too deeply", where=f"{source}:1:1") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise InputError(f"is not YAML: {error.problem or error.context}", where=where) from error
    except yaml.YAMLError as error:
        raise InputError(f"is not YAML: {' '.join(str(error).split())}", where=source) from error


class _PlainBuilder:
    """Turns YAML nodes into plain values and remembers where each stood."""

    def __init__(self, source: str) -> None:
        import yaml  # noqa: PLC0415 - see the header

        self._yaml = yaml
        self._scalars = yaml.SafeLoader("")
        self._source = source
        self.marks: Marks = {}

    def build(self, node: yaml.Node, path: FieldPath) -> object:
        self.marks.setdefault(path, _mark(node))
        if isinstance(node, self._yaml.MappingNode):
            return self._build_mapping(node, path)
        if isinstance(node, self._yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if node.tag not in _SCALARS:
            return node.value  # dates and the like: to us they are text
        try:
            return self._scalars.construct_object(node)
        except ValueError as error:
            raise InputError(str(error), where=_place(path, "", self.marks, source=self._source)) from error

    def _build_mapping(self, mapping: yaml.MappingNode, path: FieldPath) -> dict[str, object]:
        built: dict[str, object] = {}
        for key_node, value_node in mapping.value:
            key = str(key_node.value)
            at = (*path, key)
            if key in built:
                line, column = _mark(key_node)
                raise InputError(f"{_dotted(at)}: is given twice", where=f"{self._source}:{line}:{column}")
            self.marks[at] = _mark(key_node)
            built[key] = self.build(value_node, at)
        return built


def _mark(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _split_error(message: str) -> tuple[str, FieldPath]:
    """Take msgspec's ``… - at `$.a[0].b` `` apart."""
    what, _, tail = message.partition(" - at `")
    steps = re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", tail)
    return what, tuple(name or int(index) for name, index in steps)


def _place(path: FieldPath, what: str, marks: Marks, *, source: str) -> str:
    unknown = re.search(r"unknown field `([^`]+)`", what)
    if unknown and (*path, unknown[1]) in marks:
        path = (*path, unknown[1])
    while path and path not in marks:
        path = path[:-1]
    line, column = marks.get(path, (1, 1))
    return f"{source}:{line}:{column}"


def _dotted(path: FieldPath) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _say(what: str, path: FieldPath) -> str:
    what = what.replace("Object", "the mapping").replace("`", "'")
    return f"{_dotted(path)}: {what}" if path else what


def write_document(value: object) -> str:
    """Write plain values (mappings, lists, text, numbers, truth values, None) as YAML, in the order given."""
    import yaml  # noqa: PLC0415 - see the header

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
