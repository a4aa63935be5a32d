"""Every command that the pages show exists, with these options; nothing is run."""

from __future__ import annotations

import argparse
import importlib
import re

import click
import pytest

from benchmarks import soak
from benchmarks.__main__ import BENCHMARKS
from netprobe.cli.main import cli
from netprobe_agent import main as agent
from tests.unit.docs import pages
from tests.unit.docs.pages import ROOT, Snippet

SHOWN = [(snippet, words) for page in pages.PAGES for snippet, words in pages.commands(page)]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


VERBOSE = ("-v", "-vv")
"""Given before the command."""


class Parsed(Exception):  # noqa: N818 - no error: the options were understood
    """Raised where a program would begin its work."""


def of(program: str) -> list[object]:
    chosen = [
        (snippet, words) for snippet, words in SHOWN if words[: len(program.split())] == program.split()
    ]
    assert chosen, f"no page shows {program}"
    return [
        pytest.param(snippet, words, id=f"{snippet.page.stem}:{snippet.line}") for snippet, words in chosen
    ]


def complain(command: click.Command, words: list[str], *, whole: bool) -> str:
    """What is wrong with *words* after *command*, or ``""``; of a call in prose only names count."""
    context = click.Context(command)
    if command is cli:
        words = words[sum(word in VERBOSE for word in words[:1]) :]
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        below = command.get_command(context, words[0])
        return complain(below, words[1:], whole=whole) if below else f"no command {words[0]!r}"
    if not whole:
        known = {name for param in command.get_params(context) for name in param.opts}
        options = {stripped for word in words if (stripped := word.strip("[()]|")).startswith("-")}
        return f"no option {options - known}" if options - known else ""
    try:
        given, rest, _ = command.make_parser(context).parse_args(list(words))
        for param in command.params:
            value = given.get(param.name)
            if isinstance(value, str) and isinstance(param.type, click.Choice):
                param.type.convert(value, param, context)
            if param.required and not isinstance(value, (str, tuple, list)):
                return f"{param.name} is missing"
    except click.UsageError as error:
        return error.format_message()
    return f"too many words: {rest}" if rest else ""


@pytest.mark.parametrize(("snippet", "words"), of("netprobe"))
def test_netprobe_takes_what_is_shown(snippet: Snippet, words: list[str]) -> None:
    assert not complain(cli, words[1:], whole=snippet.whole), snippet


def test_a_wrong_command_is_seen() -> None:
    assert complain(cli, ["shw"], whole=False)
    assert complain(cli, ["-v", "shw"], whole=False)
    assert complain(cli, ["show", "--frm", "x"], whole=False)
    assert complain(cli, ["show", "findigs"], whole=True)
    assert complain(cli, ["show", "--from"], whole=True)
    assert complain(cli, ["lab", "fault", "ad", "x"], whole=True)
    assert complain(cli, ["sites", "deploy", "--keys", "keys.json"], whole=True)
    assert complain(cli, ["collector", "[--inventry", "FILE]"], whole=False)


@pytest.mark.parametrize(("snippet", "words"), of("netprobe-agent"))
def test_the_agent_takes_what_is_shown(snippet: Snippet, words: list[str]) -> None:
    words = [word for word in words if word not in VERBOSE]
    options = [word.strip("[()]") for word in words if re.match(r"\W*--?[a-z]", word)]
    (commands,) = (
        action for action in agent._parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    if len(words) == 1:
        return
    below = commands.choices[words[1]]
    assert set(options) <= set(below._option_string_actions), snippet


@pytest.mark.parametrize(("snippet", "words"), of("make"))
def test_make_has_the_target(snippet: Snippet, words: list[str]) -> None:
    assert {word for word in words[1:] if "=" not in word} <= TARGETS, snippet


@pytest.mark.parametrize(("snippet", "words"), of("python -m benchmarks"))
def test_benchmarks_take_what_is_shown(
    snippet: Snippet, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *options = words[3:]
    if name == "NAME":
        return
    assert name in BENCHMARKS, snippet
    _stop_once_parsed(monkeypatch)
    with pytest.raises(Parsed):
        importlib.import_module(BENCHMARKS[name]).run([word for word in options if word != "--json"])


@pytest.mark.parametrize(("snippet", "words"), of("python -m benchmarks.soak"))
def test_the_soak_takes_what_is_shown(
    snippet: Snippet, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _stop_once_parsed(monkeypatch)
    monkeypatch.setattr("sys.argv", ["soak", *words[3:]])
    with pytest.raises(Parsed):
        soak.main()


def _stop_once_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every program end where its options are understood; a wrong option still exits with 2."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> None:
        parse(parser, arguments)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
