"""A fleet at one moment: the Python interface to a snapshot."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx

from netprobe.analysis.intent.document import load_intent
from netprobe.analysis.intent.expansion import expand_cells
from netprobe.analysis.intent.verdicts import judge_cells
from netprobe.analysis.queries.comparison import compare_snapshots
from netprobe.errors import InputError
from netprobe.model.finding import Finding
from netprobe.model.names import Plane
from netprobe.model.snapshot import Snapshot
from netprobe.model.window import Report
from netprobe.notebook.display import (
    FindingsView,
    Picture,
    ReportView,
    show_fleet,
)
from netprobe.notebook.offline_intent import see_cells
from netprobe.render.figures.heatmap import draw_matrix
from netprobe.render.figures.registry import FIGURES
from netprobe.render.graph import build_graph
from netprobe.render.labels import verdict
from netprobe.render.reachability import Level, read_matrix
from netprobe.render.reports.comparison import ComparisonReport
from netprobe.render.reports.snapshot import SnapshotReport
from netprobe.render.reports.verification import VerificationReport

if TYPE_CHECKING:
    from netprobe.notebook.frames import Frame


@dataclass(frozen=True)
class Fleet:
    """Everything known of a fleet at one moment; frames are built once, on first use."""

    snapshot: Snapshot
    """The underlying values (:mod:`netprobe.model`)."""
    reports: tuple[Report, ...] = ()
    """The reports before the snapshot, if they were saved."""

    @property
    def taken(self) -> dt.datetime:
        """Time of the snapshot, UTC."""
        return dt.datetime.fromtimestamp(self.snapshot.taken_ns / 1e9, dt.UTC)

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        return verdict(self.snapshot)

    @cached_property
    def topology(self) -> nx.MultiDiGraph[str]:
        """Clusters, nodes, agents, services and links with their states (:mod:`netprobe.render.graph`)."""
        return build_graph(self.snapshot)

    @property
    def findings(self) -> FindingsView:
        """Open findings, most certain first."""
        return FindingsView(self.snapshot, self.snapshot.findings)

    @property
    def past_findings(self) -> FindingsView:
        """Findings that have ended."""
        return FindingsView(self.snapshot, self.snapshot.past_findings)

    # --- frames ------------------------------------------------------------------------------

    @cached_property
    def paths(self) -> Frame:
        """One row per check: its state, counts and round trips."""
        from netprobe.notebook.frames import paths_frame  # noqa: PLC0415 - pandas only if it is used

        return paths_frame(self.snapshot)

    @cached_property
    def windows(self) -> Frame:
        """One row per check and interval of the history."""
        from netprobe.notebook.frames import windows_frame  # noqa: PLC0415

        return windows_frame(self.snapshot, self.reports)

    @cached_property
    def agents(self) -> Frame:
        """One row per agent."""
        from netprobe.notebook.frames import agents_frame  # noqa: PLC0415

        return agents_frame(self.snapshot)

    def matrix(self, *, by: str = "node", plane: str | None = None) -> Frame:
        """States by source and target; *by* ``node`` or ``cluster``, *plane* ``pod``, ``host`` or both."""
        from netprobe.notebook.frames import matrix_frame  # noqa: PLC0415

        return matrix_frame(read_matrix(self.snapshot, plane=_plane(plane), level=_level(by)))

    # --- pictures and reports ----------------------------------------------------------------

    def draw_map(self) -> Picture:
        """The map, as in reports."""
        return Picture(FIGURES["topology"](self.snapshot), f"Map: {self.verdict}")

    def draw_matrix(self, *, by: str | None = None, plane: str | None = None) -> Picture:
        """The reachability matrix; by node, or by cluster if there are many nodes."""
        level = _level(by) if by else None
        sheet = draw_matrix(self.snapshot, plane=_plane(plane), level=level)
        return Picture(sheet, f"Reachability matrix: {self.verdict}")

    def report(self) -> ReportView:
        """The report of this snapshot: ``.markdown()``, ``.html()``, ``.document()``, ``.write(file)``."""
        return ReportView(SnapshotReport(self.snapshot))

    def against(self, intent: str | PathLike[str], *, today: dt.date | None = None) -> ReportView:
        """Compare this snapshot with the *intent* of that file; nothing new is asked.

        Exceptions expire after *today*, by default the day of the snapshot. Cells without a path are
        unproven.
        """
        expected = load_intent(Path(intent), today=today or self.taken.date())
        cells = expand_cells(expected, self.snapshot.inventory)
        observations = see_cells(self.snapshot, cells)
        judged = tuple(judge_cells(cells, observations, responders=expected.responders))
        return ReportView(
            VerificationReport(judged, {rule.name: rule.where for rule in expected.rules if rule.where})
        )

    def since(self, before: Fleet) -> ReportView:
        """What differs from the earlier snapshot *before*."""
        return ReportView(ComparisonReport(compare_snapshots(before.snapshot, self.snapshot)))

    def find_affected(self, finding: Finding) -> Frame:
        """The paths that *finding* explains, as rows of :attr:`paths`."""
        return self.paths[self.paths["check"].isin(finding.affected)]

    def _repr_html_(self) -> str:
        return show_fleet(self.snapshot)

    def __repr__(self) -> str:
        inventory = self.snapshot.inventory
        return (
            f"<Fleet of {len(inventory.clusters)} clusters at {self.taken:%Y-%m-%d %H:%M:%S}: {self.verdict}>"
        )


def _level(by: str) -> Level:
    if by not in set(Level):
        raise InputError(f"{by!r} is neither 'node' nor 'cluster'", where="by")
    return Level(by)


def _plane(plane: str | None) -> Plane | None:
    if plane is not None and plane not in set(Plane):
        raise InputError(f"{plane!r} is neither 'pod' nor 'host'", where="plane")
    return Plane(plane) if plane else None
