"""Text from outside, made safe to show: no control sequence, no reordering, nothing that XML cannot hold.

Rule: each form of output cleans what it writes in one place (console, lines, Markdown, logs, XML), so that a
new view needs no thought. Names, reasons and banners come from agents, clusters and files of strangers.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1: what terminals obey
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of text
    "\ud800-\udfff\ufffe\uffff]"  # no characters of XML
)


def clean(text: str) -> str:
    r"""*text* with ``\ufffd`` in place of what a terminal, a reader or a parser would obey.

    Line feeds and tabs stay.

    >>> clean("no\x1b[31m way\u202e\n")
    'no\ufffd[31m way\ufffd\n'
    """
    return _UNSAFE.sub("\ufffd", text)
