"""The console for tables: text is text, never markup, emoji codes or control sequences.

Rule: every table is printed by this console. Colours and links of our own are style, which is not part of the
text and passes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from netprobe.model.clean_text import clean


class TextConsole(Console):
    """A console that shows every text as it is, cleaned."""

    def __init__(self, *, width: int | None = None, is_plain: bool = False) -> None:
        """*is_plain*: into memory, without colours (`written`)."""
        self._written = io.StringIO() if is_plain else None
        super().__init__(
            file=self._written, width=width, markup=False, emoji=False, highlight=not is_plain,
            force_terminal=False if is_plain else None, color_system=None if is_plain else "auto",
        )  # fmt: skip

    @property
    def written(self) -> str:
        """What a plain console was given, without spaces at the ends of lines."""
        text = self._written.getvalue() if self._written is not None else ""
        return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Clean the text of every segment; widths are those of the cleaned text, as it has as many cells."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)
