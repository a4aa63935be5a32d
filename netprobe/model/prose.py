"""A text for people, as a type of its own: it can be shown, and nothing else.

Rule: no code decides by a sentence. What a sentence says that a program needs to know is a value beside it.

To the type checker ``Prose`` is not a ``str``: ``==`` with a string, ``in``, ``startswith`` and ``split`` are
type errors. At run time it is ``str`` itself, so it costs nothing and every codec knows it. ``render`` and
``cli`` turn it into a string with ``str()`` or in an f-string.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:

    class Prose:
        """A sentence for a person. It is made from a string, shown, and asked whether it is there at all."""

        def __init__(self, text: str | Prose = "") -> None: ...

        def __str__(self) -> str: ...

        def __format__(self, spec: str, /) -> str: ...

        def __bool__(self) -> bool: ...

else:
    Prose = str

NO_PROSE = Prose("")
"""The default of a field whose sentence may be missing."""
