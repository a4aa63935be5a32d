"""Reference pages of the command line, written from the commands themselves.

Rule: no help text is repeated by hand. What a page says is what ``--help`` prints.
"""

from __future__ import annotations

import inspect
import re

import click

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$])")
_CODE = re.compile(r"(?<![\w`])(--[a-z][\w-]*|NETPROBE_[A-Z_]+|`[^`]+`)")


def write_pages(root: click.Group, name: str) -> dict[str, str]:
    """A page for each command of *root*, by its path on the site."""
    context = click.Context(root, info_name=name)
    pages = {}
    for each in root.list_commands(context):
        command = root.get_command(context, each)
        if command is not None and not command.hidden:
            pages[f"commands/{each}.md"] = "\n".join(_describe(command, context, each, level=1))
    return pages


def _describe(command: click.Command, parent: click.Context, name: str, *, level: int) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent)
    lines = [f"{'#' * level} {context.command_path}", "", *_paragraphs(command.help or "")]
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            if below is not None and not below.hidden:
                lines += _describe(below, context, each, level=min(level + 1, 4))
        if not command.invoke_without_command:
            return lines
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines += ["```text", " ".join(usage.split()), "```", ""]
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is not None and record[1] and "--help" not in param.opts:
            lines += [f"`{record[0]}`", f": {escape(record[1])}", ""]
    return lines


def _paragraphs(text: str) -> list[str]:
    r"""Help as Markdown; a paragraph after ``\b`` keeps its lines, as it does in the terminal."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text).partition("\f")[0]):
        if paragraph.startswith("\b"):
            lines += ["```text", inspect.cleandoc(paragraph.removeprefix("\b")), "```", ""]
        else:
            lines += [escape(" ".join(paragraph.split())), ""]
    return lines


def escape(text: str) -> str:
    """*text* as it is in Markdown; options, variables and what is in backticks become code."""
    pieces = _CODE.split(text)
    return "".join(
        (piece if piece.startswith("`") else f"`{piece}`") if number % 2 else _MARKUP.sub(r"\\\1", piece)
        for number, piece in enumerate(pieces)
    )
