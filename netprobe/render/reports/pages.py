"""Renders HTML pages and Markdown from templates.

Rule: a page is self-contained: its pictures are inline and it loads nothing from another host.
"""

from __future__ import annotations

import re
from functools import cache

import jinja2
from markupsafe import Markup

from netprobe import __version__
from netprobe.model.clean_text import clean
from netprobe.render.figures.canvas import Canvas
from netprobe.render.graph import link_label
from netprobe.render.labels import (
    MARKS,
    count,
    duration,
    moment,
    one_line,
    percent,
)
from netprobe.render.reachability import up_of_all

_MARKDOWN = re.compile(r"[\\`*~<\[\]]|(?<!\w)_|_(?!\w)|(?<!\S)[#>](?=\s|$)|^[-+](?=\s)")
"""What Markdown reads as code, emphasis, HTML, link, heading, quotation or list."""


def fill(template: str, **context: object) -> str:
    """Fill *template*; a variable missing from *context* is a programming error and raises."""
    environment = _environment(is_markdown=template.endswith(".md.jinja"))
    return environment.get_template(template).render(**context, netprobe_version=__version__)


def picture(canvas: Canvas, name: str) -> Markup:
    """A figure as an element of a page."""
    # Safe: texts are drawn as outlines, and matplotlib escapes the text of its SVG elements.
    return Markup(inline_svg(canvas.to_svg(), name))  # noqa: S704


def inline_svg(svg: str, name: str) -> str:
    """An SVG document as an element of an HTML page: without prolog or external URLs, with unique ids."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    end = body.index(">")
    body = re.sub(r'\s(?:xmlns(?::\w+)?|width|height|version)="[^"]*"', "", body[:end]) + body[end:]
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace("xlink:href", "href")
    return body.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)


class _MarkdownText(str):
    """Text that is escaped already."""

    __slots__ = ()


def markdown_text(value: object) -> str:
    r"""Text from outside as Markdown that shows it: on one line, no HTML, link, picture, heading or code.

    >>> markdown_text("![x](http://a/b) <b>*now*</b>\n# end")
    '!\\[x\\](http://a/b) \\<b>\\*now\\*\\</b> \\# end'
    """
    return _MarkdownText(_MARKDOWN.sub(r"\\\g<0>", one_line(str(value))))


def table_cell(value: object) -> str:
    r"""The same for a cell of a table, with ``|`` escaped as well.

    >>> table_cell("a | b")
    'a \\| b'
    """
    return _MarkdownText(markdown_text(value).replace("|", "\\|"))


def _finalize(value: object) -> object:
    """What a Markdown template writes of a value; line feeds and commas of the template itself stay."""
    is_ours = isinstance(value, _MarkdownText) or not isinstance(value, str) or not value.strip(" \n,")
    return value if is_ours else markdown_text(value)


def _finalize_html(value: object) -> object:
    """Autoescaping leaves control characters; what is markup of our own stays."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment(*, is_markdown: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        finalize=_finalize if is_markdown else _finalize_html,
        loader=jinja2.PackageLoader("netprobe.render"),
        autoescape=jinja2.select_autoescape(("html.jinja",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "moment": moment,
        "duration": duration,
        "percent": percent,
        "link_label": link_label,
        "counted": count,
        "ups": up_of_all,
        "mark": lambda state: MARKS.get(state, "✓" if state == "alive" else "?"),
        "cell": table_cell,
    }
    return environment
