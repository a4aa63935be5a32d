"""Renders HTML pages and Markdown from templates.

Rule: a page is self-contained: its pictures are inline and it loads nothing from another host.
"""

from __future__ import annotations

import re
from functools import cache

import jinja2
from markupsafe import Markup

from netprobe import __version__
from netprobe.render.figures.canvas import Canvas
from netprobe.render.labels import (
    MARKS,
    count,
    duration,
    moment,
    one_line,
    percent,
)
from netprobe.render.reachability import up_of_all


def fill(template: str, **context: object) -> str:
    """Fill *template*; a variable missing from *context* is a programming error and raises."""
    return _environment().get_template(template).render(**context, netprobe_version=__version__)


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


def table_cell(text: object) -> str:
    r"""Text for a cell of a Markdown table: on one line, with ``|`` escaped.

    >>> table_cell("a | b")
    'a \\| b'
    """
    return one_line(str(text)).replace("|", "\\|")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
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
        "counted": count,
        "ups": up_of_all,
        "mark": lambda state: MARKS.get(state, "✓" if state == "alive" else "?"),
        "cell": table_cell,
    }
    return environment
