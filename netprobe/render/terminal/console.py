"""The console for tables: text is text, never markup, emoji codes or control sequences.

Rule: every table is printed by this console, and its styled texts are :class:`Text`. Both clean a text before
it is measured: a control character has no width, and what replaces it has one. Colours and links of our own
are style, which is not part of the text and passes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import rich.text
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import Style

from netprobe.model.clean_text import clean


class Text(rich.text.Text):
    """A styled text, cleaned."""

    def __init__(self, text: str = "", style: str | Style = "", **options: Any) -> None:  # noqa: ANN401 - rich's
        """As rich's."""
        super().__init__(clean(text), style, **options)

    def append(self, text: rich.text.Text | str, style: str | Style | None = None) -> Text:
        """As rich's."""
        super().append(clean(text) if isinstance(text, str) else text, style)
        return self


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

    def render_str(self, text: str, **options: Any) -> rich.text.Text:  # noqa: ANN401 - rich's
        """A text that is given as a string, as in a cell of a table."""
        return super().render_str(clean(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Clean every segment: a text that was not cleaned before it was measured is at least harmless."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(clean(segment.text), segment.style)
