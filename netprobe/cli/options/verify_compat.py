"""Which options of ``netprobe verify`` go together: one that would be ignored is an error."""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.core import ParameterSource

from netprobe.errors import InputError

_OF_A_SOURCE = frozenset({"bundle", "lab", "url", "seed", "ca", "certificate", "forwards", "at"})
_OF_A_VISIT = frozenset({"files", "image", "patience"})
_OF_ROUNDS = frozenset({"report", "rounds", "interval"})
_OF_AN_INTENT = frozenset({"size", "exhaustive", "locate", "pcap"})
_OF_A_WATCH = frozenset({"every_s", "incidents"})


def expect_compatible(context: click.Context, *, has_intent: bool, is_visit: bool) -> None:
    """Raise :class:`InputError` where nothing is to be checked, or a given option would be ignored."""
    if not has_intent and not is_visit:
        raise InputError("give an intent (-f FILE), clusters to visit (--context, --all-contexts), or both")
    for names, why in _find_idle(has_intent=has_intent, is_visit=is_visit):
        for option in context.command.params:
            source = context.get_parameter_source(option.name or "")
            if option.name in names and source is ParameterSource.COMMANDLINE:
                raise InputError(why, where=option.opts[0])


def _find_idle(*, has_intent: bool, is_visit: bool) -> Iterator[tuple[frozenset[str], str]]:
    """Options, by the names of their parameters, that do not go with what is checked, and why."""
    if is_visit:
        yield _OF_A_SOURCE, "cannot be used with --context, which starts its own agents"
    else:
        yield _OF_A_VISIT | _OF_ROUNDS, "needs clusters to visit (--context, --all-contexts)"
    if not has_intent:
        yield _OF_AN_INTENT | _OF_A_WATCH, "needs an intent (-f FILE)"
    elif is_visit:
        yield (
            _OF_ROUNDS,
            "cannot be used with an intent, which is checked once and written with -o or --write",
        )
        yield (
            _OF_A_WATCH,
            "cannot be used with --context, whose agents do not stay: use `netprobe install`, then watch",
        )
