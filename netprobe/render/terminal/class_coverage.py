"""Classes of traffic that the checks tell apart, in the table of the coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table

from netprobe.analysis.diagnosis.traffic_text import describe_traffic
from netprobe.analysis.queries.unasked import Question
from netprobe.model.component import ComponentKind
from netprobe.model.fleet import ClassCoverage, ClassGap, GapReason
from netprobe.render.labels import count, percent
from netprobe.render.terminal.console import Text

_GROUP_OF = {
    ComponentKind.TUNNEL: "tunnel",
    ComponentKind.GATEWAY_OUT: "gateway",
    ComponentKind.GATEWAY_IN: "gateway",
    ComponentKind.NODE_OUT: "node",
    ComponentKind.NODE_IN: "node",
}


def class_table(traffic: Iterable[ClassCoverage]) -> RenderableType:
    """Shares of the classes that are asked, differ at their part, from other parts, and in direction."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("at", "classes", "asked", "from other classes", "from other parts", "with direction"):
        table.add_column(heading, justify="left" if heading == "at" else "right")
    found: dict[str, Counter[str]] = {}
    for one in traffic:
        sums = found.setdefault(f"{_GROUP_OF[one.kind]}s", Counter())
        sums.update({name: getattr(one, name) for name in ("classes", "asked", "named", "located", "told")})
    for group, sums in found.items():
        shares = (sums[name] / max(1, sums["classes"]) for name in ("asked", "named", "located", "told"))
        table.add_row(group, f"{sums['classes']:,}", *map(percent, shares))
    return Group(Text("Classes of traffic told apart", style="bold"), table)


_ASKED_BY = {
    Question.DSCP: ("packets with a DSCP mark", "netprobe check SOURCE TARGET --option dscp=18"),
    Question.FRAGMENTS: ("packets in fragments", "netprobe check SOURCE TARGET --option fragments=yes"),
    Question.DATA: ("data between clusters", "netprobe check SOURCE TARGET --probe http"),
    Question.NODE_PORT: ("services at node ports", "an inventory that lists them (docs/formats.md)"),
}


def describe_unasked(questions: Iterable[Question]) -> list[str]:
    """One line per kind of question that is not asked, and what asks it."""
    return [f"{what}: {how}" for what, how in (_ASKED_BY[question] for question in questions)]


def describe_gaps(gaps: Iterable[ClassGap]) -> list[str]:
    """One line per class and reason, with the parts it holds at; those with most parts first."""
    folded: dict[str, Counter[str]] = {}
    for gap in gaps:
        folded.setdefault(_reason(gap), Counter())[_GROUP_OF[gap.kind]] += gap.parts
    ordered = sorted(folded.items(), key=lambda each: (-each[1].total(), each[0]))
    return [f"{reason}: {_list_parts(parts)}" for reason, parts in ordered]


def _reason(gap: ClassGap) -> str:
    traffic = describe_traffic([gap.traffic])
    match gap.reason:
        case GapReason.NOT_ASKED:
            return f"no {traffic} asked"
        case GapReason.NOTHING_ELSE:
            return f"only {traffic} asked"
        case GapReason.OTHER_CLASS if gap.other is not None:
            return " = ".join(sorted((traffic, describe_traffic([gap.other]))))
        case GapReason.OTHER_DIRECTION:
            return f"{traffic}, in or out"
        case _:
            other = _GROUP_OF[gap.other_kind] if gap.other_kind else "part"
            return f"{traffic} = traffic of another {other}"


def _list_parts(parts: Counter[str]) -> str:
    return ", ".join(count(number, f"{group} direction") for group, number in parts.items())
