"""Which clusters: the kubeconfig contexts that every command which opens clusters takes the same way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from netprobe.cli.options.registry import RegistryChoice
from netprobe.errors import InputError

if TYPE_CHECKING:
    from netprobe.discovery.k8s.kubeconfig import Context, Contexts

R = TypeVar("R")
C = TypeVar("C", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class ContextSelection:
    """What ``--context``, ``--all-contexts`` and ``--kubeconfig`` say."""

    names: tuple[str, ...] = ()
    all_contexts: bool = False
    files: tuple[Path, ...] = ()

    @property
    def is_given(self) -> bool:
        """Whether contexts are named at all."""
        return bool(self.names) or self.all_contexts

    def read(self) -> tuple[Context, ...]:
        """The selected contexts, by default the current one; raises as :meth:`read_one`."""
        if self.names and self.all_contexts:
            raise InputError("--context and --all-contexts exclude each other")
        return self._read_files().choose(self.names, everything=self.all_contexts)

    def read_all(self) -> tuple[Context, ...]:
        """Every context of the files, whichever are selected."""
        return self._read_files().all

    def read_one(self, name: str) -> Context:
        """The one context *name*; :class:`InputError` if no kubeconfig has it, or there is none."""
        return self._read_files().choose((name,))[0]

    def _read_files(self) -> Contexts:
        from netprobe.discovery.k8s.kubeconfig import find_kubeconfigs, read_contexts

        found = self.files or find_kubeconfigs(os.environ, home=Path.home())
        if not found:
            raise InputError("no kubeconfig found: give --kubeconfig FILE or set KUBECONFIG")
        return read_contexts(found)


def kubeconfig_option(command: C) -> C:
    """Give a command ``--kubeconfig``; it receives the files as *files*."""
    about = "A kubeconfig file; repeat it for several. Default: $KUBECONFIG, or ~/.kube/config."
    return click.option("--kubeconfig", "files", multiple=True, type=click.Path(path_type=Path),
                        metavar="FILE", help=about)(command)  # fmt: skip


def context_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``--context``, ``--all-contexts`` and ``--kubeconfig``; it receives *selection*."""

    @wraps(command)
    def with_contexts(
        *args: object, names: tuple[str, ...], all_contexts: bool, files: tuple[Path, ...], **rest: object
    ) -> R:
        return command(*args, selection=ContextSelection(names, all_contexts, files), **rest)

    with_contexts = kubeconfig_option(with_contexts)
    with_contexts = click.option(
        "--all-contexts", is_flag=True, help="Every context of every kubeconfig file."
    )(with_contexts)
    return click.option(
        "--context", "names", multiple=True, metavar="NAME",
        help="A kubeconfig context; repeat it for several clusters.",
    )(with_contexts)  # fmt: skip


def _sources() -> Iterable[str]:
    from netprobe.discovery.cluster_sources.registry import source_names

    return source_names()


def sources_option(command: C) -> C:
    """Give a command ``--from``; it receives the names of the systems as *sources*."""
    about = "Take the clusters that this system knows behind the context; repeatable."
    return click.option("--from", "sources", type=RegistryChoice(_sources), multiple=True, help=about)(
        command
    )


def hub_option(command: C) -> C:
    """Give a command ``--hub``; it receives the context's name, or None, as *hub*."""
    about = "The context of the cluster where the collector runs. Default: the first context."
    return click.option("--hub", metavar="NAME", help=about)(command)


def forwards_option(command: C) -> C:
    """Give a command ``--forwards``; it receives the file, or None, as *forwards*."""
    about = "Reach services through SSH, as this inventory's forwards say."
    return click.option("--forwards", type=click.Path(path_type=Path), metavar="FILE",
                        envvar="NETPROBE_FORWARDS", show_envvar=True, help=about)(command)  # fmt: skip
