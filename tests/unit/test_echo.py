"""Lines for people: our own style stays, a stranger's is shown as text."""

from __future__ import annotations

import pytest

from netprobe.echo import echo, styled


def test_our_style_stays_and_a_strangers_does_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    echo("a ", styled("b\x1b[31m", bold=True), " \x1b[32mc")
    assert capsys.readouterr().out == "a \x1b[1mb\ufffd[31m\x1b[0m \ufffd[32mc\n"


def test_colours_go_only_to_terminals(capsys: pytest.CaptureFixture[str]) -> None:
    echo(styled("b", colour="green"))
    assert capsys.readouterr().out == "b\n"
