"""``netprobe gather``: gathers what is asked for and writes one archive."""

from __future__ import annotations

import asyncio
from pathlib import Path

from netprobe.cli.options.clusters import ContextSelection
from netprobe.cli.options.source import Source
from netprobe.echo import echo
from netprobe.store.archive import FOLDER, check_archive_path, write_archive
from netprobe.workflows.bug_report import Gathered, gather_clusters, gather_evidence, gather_versions


def run_gather(source: Source, selection: ContextSelection, output: Path, *, timeout_s: float) -> int:
    """Write the archive and say what is in it; 0 all of it, 1 something could not be gathered."""
    check_archive_path(output)
    contexts = selection.read() if selection.is_given else ()
    files = gather_versions()
    # Who names clusters and no place of evidence wants the clusters; a lab is asked only where none is named.
    if not contexts or source.bundle is not None or source.url is not None or source.lab is not None:
        files |= gather_evidence(source.load())
    found = Gathered({})
    if contexts:
        found = asyncio.run(gather_clusters(contexts, timeout_s=timeout_s))
    problems = write_archive(output, files | found.files, found.problems)
    echo(f"{output}: {len(files | found.files) + 1} files in {FOLDER}/; look at it before you attach it")
    for problem in problems:
        echo(f"netprobe: {problem}", err=True)
    return 1 if problems else 0
