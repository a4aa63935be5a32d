"""Options whose names or defaults are defined in another room, read when help or a value asks for them.

Rule: a registry stays the one place of its names; declaring an option imports none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem


class RegistryChoice(click.Choice[str]):
    """One of the names that *load* returns."""

    def __init__(self, load: Callable[[], Iterable[str]]) -> None:
        self._load = load
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # click stores them, we ask each time
        """The names, as the registry has them now."""
        return tuple(map(str, self._load()))


class RegistryOption(click.Option):
    """An option with *names* in its help and its completion, or with a default that another room defines.

    Which value is right is decided where the names are defined; ``%s`` in the help is replaced by the names.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click passes them
        names: Callable[[], Iterable[str]] | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self._names = names

    def get_default(self, ctx: click.Context, call: bool = True) -> Any:  # noqa: ANN401 - click's
        """The value itself, in help texts too."""
        del call
        return super().get_default(ctx, call=True)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The help text with the names in it."""
        raw, self.help = self.help, self._help()
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = raw

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin with *incomplete*."""
        if self._names is None:
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name) for name in self._names() if name.startswith(incomplete)]

    def _help(self) -> str | None:
        if self._names is None or self.help is None:
            return self.help
        return self.help % ", ".join(map(str, self._names()))
