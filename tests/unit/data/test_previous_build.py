"""What an earlier build wrote is read today and means the same (``tests/data/README.md`` says what it is).

Rule: the first half of this file knows how today's code calls things. Where a name, a module or a sentence
changes, that half is adapted; what the files mean, the second half, stays as it is.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from netprobe.analysis.queries.comparison import Comparison, compare_judged, compare_snapshots
from netprobe.analysis.queries.slow_probes import ProbePath, ProbeResult, read_probe_symptoms
from netprobe.bus.keys_file import read_keys
from netprobe.cli.actions.collector import make_ports
from netprobe.collector.persisted_state import load_state
from netprobe.collector.replay import Replay
from netprobe.discovery.inventory.file import load_inventory
from netprobe.lab.state_folder import StateFolder
from netprobe.model.finding import Finding
from netprobe.model.flow import FlowState
from netprobe.model.intent import CellResult
from netprobe.model.names import AgentId, NodeId
from netprobe.model.outcome import NotMeasured, Outcome
from netprobe.model.reason import ReasonCode
from netprobe.model.snapshot import Snapshot
from netprobe.model.verdict import PortVerdict
from netprobe.model.window import Report
from netprobe.planning.policy import PlanPolicy
from netprobe.probes.drops import read_drops
from netprobe.probes.idle import read_flows
from netprobe.probes.ports import read_verdicts
from netprobe.render.documents.snapshot import report_document
from netprobe.render.labels import verdict as one_sentence
from netprobe.render.reports.snapshot import build_report_files
from netprobe.render.terminal.tables import agents_table, findings_table, render_text, topology_table
from netprobe.store.bundle import Bundle, read_bundle
from netprobe.store.history import History
from netprobe.store.verification import read_verification
from netprobe.wire import conclusions, messages, stream
from netprobe.wire.intent_watch import decode_watched
from netprobe.wire.measured_json import decode_measured
from netprobe.wire.reports import columns_of, decode_report
from netprobe_agent.bus_address_cache import load_bus_addresses
from netprobe_agent.run import read_plan
from netprobe_agent.spool import Spool
from tests.facts import texts

DATA = Path(__file__).parents[2] / "data" / "previous"

# --- what today's code calls it: the one place to adapt ----------------------------------------


def bundle(name: str) -> Bundle:
    return read_bundle(DATA / "bundles" / name)


def snapshot(name: str) -> Snapshot:
    return bundle(name).snapshot


def reply(name: str) -> messages.Reply:
    return messages.decode_reply((DATA / f"{name}.bin").read_bytes())


def answer(name: str) -> messages.CheckAnswer:
    told = reply(name)
    assert isinstance(told, messages.CheckAnswer), told
    return told


def facts(name: str) -> dict[str, str]:
    return texts(answer(name).details[0].facts)


def outcomes(name: str) -> list[str]:
    return [str(one.kind) for one in answer(name).outcomes]


def port_verdicts(name: str) -> dict[tuple[str, str], PortVerdict]:
    """By address and port (``tcp/80``)."""
    told = read_verdicts((), answer(name).details[0].facts)
    return {(one.address, f"{one.transport}/{one.port}"): one for one in told}


PORT_REASONS = {
    ReasonCode.SILENT_HOST: "no witness",
    ReasonCode.SILENT_PORT: "no answer",
    ReasonCode.ANSWERS_LIMITED: "limited",
    ReasonCode.FELL_SILENT: "fell silent",
    ReasonCode.OUT_OF_TIME: "too early",
    ReasonCode.STALLED: "we stood still",
    ReasonCode.NO_SCTP: "our machine: no sctp",
    ReasonCode.NOT_SENT: "our machine",
    ReasonCode.OTHER: "not measured",
    ReasonCode.OTHER_ANSWERED: "somebody else",
    ReasonCode.OWN_FILTER: "our filter",
}


def port_reason(verdict: PortVerdict) -> str:
    """What the reason of a port's verdict means; an agent's name stands for itself."""
    if verdict.answered_by:
        return f"agent {verdict.answered_by}"
    return PORT_REASONS[verdict.reason.code] if verdict.reason is not None else ""


CELL_REASONS = {
    "nobody was there to ask": "nobody asked",
    "answered": "answered",
    "the host itself refuses: the way is free": "refused, free way",
    "refused: nobody listens, or something resets": "refused",
    "refused by that address: a free way without a listener, or a firewall's reset": "refused, unproven",
    r"rejected by [\d.]+": "rejected",
    "silence on UDP: a drop, or a listener with nothing to say": "mute",
    "nothing at this address answers: dead, or all of it dropped": "no witness",
    "nothing on this host answered": "no witness",
    "silent, but somebody here rejects only so many packets per second": "starved",
    "dropped in silence": "dropped",
    "dropped in silence behind .*, but by whom cannot be known: .*": "dropped, behind",
    "dropped in silence by the target itself, or by this host's own packet filter": "dropped, target or us",
    "dropped in silence by hop .* as it forwards, or by the target itself": "dropped, hop or target",
    "dropped in silence by hop .* as it comes in, or by this host's own packet filter": "dropped, hop or us",
    "dropped in silence between .* and .*; the hops between say nothing": "dropped, mute hops",
    "dropped in silence between .* and .*: by the first as it forwards, .*": "dropped, between",
    "this host's own packet filter drops it": "our filter",
    "no probe speaks ESP": "no probe",
    r"the agent \S+ is (silent|absent|sick): .*; .*": "asker away",
    r"the agent \S+ is (silent|absent|sick): [^;]*": "target away",
    "not asked: .*": "declined",
    "the agent's answer cannot be read: .*": "unreadable",
    "the agent said nothing of this port": "nothing said",
    ".* answered at this address instead": "somebody else",
    r"answered \(the host's own tools over SSH: coarser than an agent\)": "answered, coarser",
    "nothing on this port answered": "no answer",
    "the host limits its answers, and time was over": "limited",
    "the host had answered and then said nothing any more": "fell silent",
    "time was over": "too early",
    r"the agent stood still for \d+ ms": "we stood still",
    r"our own machine has no SCTP \(.*\)": "our machine: no sctp",
    "our own machine would not send(: .*)?": "our machine",
    "our own machine: .*": "our machine",
    "not measured: .*": "not measured",
    "": "",
}


def cell_reason(judged: CellResult) -> str:
    """What the reason of a cell of ``verify`` means."""
    return _meaning(CELL_REASONS, str(judged.reason))


UNMEASURED_REASONS = {
    r"the agent stood still for \d+ ms": "we stood still",
    "sent too late in its interval": "too late",
    r"our full buffers lost \d+ packets": "buffers",
    "our receive buffer overflowed": "buffers",
    "no socket(: .*)?": "socket",
    "no privilege to send icmp here": "privilege",
    "this host has no such address family": "family",
    r"the kernel did not send it \(errno \d+\)": "kernel",
    r"connect failed \(errno \d+\)": "kernel",
    "cannot send: .*": "kernel",
    "not asked": "not asked",
    r"our own mistake: \w+": "mistake",
    "larger than this host's own interface passes": "too large here",
    "the time was up before the (gaps were over|walk ended)": "time up",
    r"\d+ conversations are under way already": "too many",
    "our own machine would not send": "machine",
    r"our own machine has no SCTP \(.*\)": "no sctp",
}


def unmeasured_reason(outcome: Outcome) -> str:
    assert isinstance(outcome, NotMeasured), outcome
    return _meaning(UNMEASURED_REASONS, str(outcome.reason))


DECLINED_REASONS = {
    r"more than \d+ questions within a minute": "rate",
    r"\S+ is neither in the plan nor on the allow-list": "not allowed",
    r"\d+ probes are too many; at most \d+ are asked": "too many",
    r"\d+ s are too long; at most \d+ s": "too long",
    r"probe\.\S+: .*": "probe",
    "the agent answers no questions": "no answerer",
    r"the question is for \S+": "for another",
    r"no outcome within \d+ s": "no outcome",
    r"the bus did not answer: timeout \(.*\)": "bus: timeout",
    r"nobody answers on the bus \(.*\)": "bus: nobody",
    r"\S+ is not reached over SSH": "no way",
    "": "",
}


def declined(name: str) -> tuple[str, str]:
    """Who declined for what, and whether that is for now or for good."""
    told = reply(name)
    assert isinstance(told, messages.Declined), told
    return _meaning(DECLINED_REASONS, str(told.reason)), "for now" if told.is_for_now else "for good"


def quiet_gaps(name: str) -> dict[int, str]:
    """How each quiet flow ended, by its gap in seconds."""
    ends = {FlowState.ALIVE: "lives", FlowState.SILENT: "silence", FlowState.PENDING: "not waited for"}
    detail = answer(name).details[0]
    return {gap_s: ends.get(state, str(state)) for gap_s, state in read_flows(detail.values, detail.facts)}


def marked_rows(name: str) -> list[str]:
    """The rows of the decision table that a patient question's reply leads to."""
    question = messages.decode_question((DATA / f"questions/question-{name}.bin").read_bytes())
    told = answer(f"questions/reply-{name}")
    way = ProbePath(question.check.source, AgentId.parse("staging/w1/pod"), NodeId.parse("prod/gw"))
    seen = ProbeResult(question.check, told.outcomes, told.details[0])
    return [found.row.id for found in read_probe_symptoms([seen], way)]


AGENT_REASONS = {
    r"last reported \d+ s ago": "stopped",
    r"its event loop lags \d+ ms": "lags",
    "never reported": "never",
    "": "",
}


def agents(taken: Snapshot) -> dict[str, tuple[str, str]]:
    """State and reason of every agent that is not well."""
    return {
        str(one.agent): (str(one.state), _meaning(AGENT_REASONS, str(one.reason)))
        for one in taken.agents
        if one.state != "alive"
    }


PATH_REASONS = {
    r"no answer within \d+ ms": "silence",
    "nobody measured it lately": "not measured",
    r"the agent \S+ is sick": "agent sick",
    "loses more than it usually does": "lossy",
    "flapping between up and down": "flapping",
    r"rejected by \S+ \(\d+/\d+\)": "rejected",
    r"\S+: NXDOMAIN": "nxdomain",
    "refused": "refused",
}


def path_reasons(taken: Snapshot) -> Counter[str]:
    return Counter(_meaning(PATH_REASONS, str(path.reason)) for path in taken.paths if path.reason)


def path_states(taken: Snapshot) -> dict[str, int]:
    return dict(Counter(str(path.state) for path in taken.paths))


def causes(findings: Iterable[Finding]) -> list[str]:
    return [str(one.cause) for one in findings]


def finding(taken: Snapshot, cause: str) -> Finding:
    return next(one for one in taken.findings if one.cause == cause)


def parts(found: Finding) -> list[str]:
    return list(map(str, found.components))


def evidence(found: Finding) -> str:
    return "\n".join(str(each.text) for each in found.evidence_for)


def windows_by_outcome(report: Report) -> dict[str, int]:
    return dict(Counter(str(kind) for one in report.windows for kind, _ in one.outcomes))


def _meaning(table: Mapping[str, str], text: str) -> str:
    return next((means for pattern, means in table.items() if re.fullmatch(pattern, text)), f"?? {text}")


# --- bundles -----------------------------------------------------------------------------------


def test_a_healthy_fleet_is_read_whole() -> None:
    read = bundle("healthy")
    taken = read.snapshot
    assert (taken.taken_ns, taken.interval_ns) == (1796002505896835734, 1_000_000_000)
    assert (len(taken.checks), len(taken.legs), path_states(taken)) == (289, 289, {"up": 289})
    assert agents(taken) == {}
    assert taken.findings == taken.past_findings == ()
    assert taken.counters.reports_stored == 130
    assert (taken.coverage.components, taken.coverage.covered, taken.coverage.checks) == (70, 70, 289)
    assert [str(one.name) for one in taken.inventory.clusters] == ["prod", "staging"]
    assert taken.inventory.links[0].name == "wireguard-go:prod–staging"
    assert one_sentence(taken) == "all 10 agents reach each other, nothing broken"
    assert (len(read.reports), sum(len(one.windows) for one in read.reports)) == (10, 289)
    assert all(set(windows_by_outcome(one)) <= {"reached"} for one in read.reports)


def test_checks_and_legs_keep_their_meaning() -> None:
    taken = snapshot("healthy")
    kinds = Counter(check.probe.kind for check in taken.checks)
    assert kinds == Counter({"udp": 121, "icmp": 55, "tcp": 53, "dns": 40, "http": 20})
    check = next(
        one
        for one in taken.checks
        if (str(one.source), one.target.name, one.probe.kind) == ("prod/w1/pod", "staging/w1/pod", "icmp")
    )
    legs = next(one for one in taken.legs if one.check == check.id)
    assert (check.target.address, str(check.target.kind), str(check.layer)) == ("10.112.1.10", "agent", "pod")
    assert "tunnel(prod→staging)" in map(str, legs.forward)
    assert "tunnel(staging→prod)" in map(str, legs.back)


def test_five_findings_with_their_evidence() -> None:
    taken = snapshot("five-findings")
    assert causes(taken.findings) == [
        "tunnel-mtu", "agent-sick", "dns-forward-missing", "policy-reject", "overlay-blocked",
    ]  # fmt: skip
    assert causes(taken.past_findings) == ["return-path-dropped"]
    assert taken.past_findings[0].ended_ns is not None
    assert agents(taken) == {"prod/w2/host": ("silent", "stopped")}
    assert path_states(taken) == {"up": 185, "down": 47, "unknown": 45, "degraded": 12}
    assert path_reasons(taken) == Counter({
        "not measured": 33, "silence": 31, "agent sick": 12, "rejected": 10, "nxdomain": 8, "flapping": 6,
        "lossy": 4,
    })  # fmt: skip
    mtu = finding(taken, "tunnel-mtu")
    assert (parts(mtu), mtu.confidence, len(mtu.affected)) == (["tunnel(prod→staging)"], 0.95, 12)
    assert set(map(str, mtu.indistinguishable)) == {"gateway-in(staging/gw)", "gateway-out(prod/gw)"}
    assert str(mtu.evidence_against[0].text) == "88 checks that cross it are fine"
    rejected = finding(taken, "policy-reject")
    assert parts(rejected) == ["firewall-rule(staging/w1 tcp/9771)"]
    assert "prod/gw: 20 of its own 20 pings to staging/w1 were answered" in evidence(rejected)
    assert parts(finding(taken, "dns-forward-missing")) == ["dns(staging clusterset.local)"]


def test_what_gateways_contradict_and_an_intent_does_not_want() -> None:
    read = bundle("contradicted")
    taken = read.snapshot
    assert causes(taken.findings) == [
        "intent-broken", "agent-sick", "agent-sick", "return-path-dropped", "overlay-blocked",
        "status-contradicted",
    ]  # fmt: skip
    assert len(taken.past_findings) == 14
    assert set(agents(taken)) == {"prod/w2/host", "staging/w1/host"}
    assert {state for state, _ in agents(taken).values()} == {"silent"}
    assert path_states(taken) == {"up": 106, "down": 97, "unknown": 80, "degraded": 6}
    one_way = finding(taken, "return-path-dropped")
    assert (parts(one_way), one_way.confidence) == (["tunnel(prod→staging)"], 0.9444)
    assert "what vanishes is dropped behind the tunnel" in evidence(one_way)
    assert "contradiction: staging/gw says connected" in evidence(finding(taken, "status-contradicted"))
    assert parts(finding(taken, "intent-broken")) == ["intent(prod→staging prod to staging)"]
    assert len(read.reports) == 24
    assert {"reached", "timed-out"} <= {kind for one in read.reports for kind in windows_by_outcome(one)}


def test_a_watched_leak() -> None:
    taken = snapshot("watched")
    assert causes(taken.findings) == ["intent-leak", "tunnel-mtu"]
    assert parts(taken.findings[0]) == ["intent(staging→prod no way back)"]
    assert Counter(causes(taken.past_findings))["policy-reject"] == 3


def test_an_agent_that_never_spoke() -> None:
    taken = snapshot("absent-agent")
    assert agents(taken) == {"prod/w1/pod": ("absent", "never")}
    assert causes(taken.past_findings) == ["agent-sick"]
    assert path_states(taken) == {"up": 15, "down": 6, "unknown": 5}
    assert path_reasons(taken) == Counter({"refused": 6})


@pytest.mark.parametrize("name", [path.name for path in sorted((DATA / "bundles").iterdir())])
def test_old_moments_are_drawn(name: str) -> None:
    taken = snapshot(name)
    told = "\n".join(
        render_text(table(taken), width=100) for table in (findings_table, agents_table, topology_table)
    )
    assert all(str(one.cause) in told for one in taken.findings)
    assert all(agent in told for agent in agents(taken))
    files = build_report_files(taken, ("markdown", "html", "json", "junit", "tap", "sarif"))
    assert all(str(one.summary) in files["report.md"].decode() for one in taken.findings)


# --- documents -----------------------------------------------------------------------------------


def _document(name: str) -> Any:
    return json.loads((DATA / "documents" / name).read_bytes())


def test_a_report_of_then_says_what_one_of_today_says() -> None:
    old = _document("report.json")
    new = json.loads(json.dumps(report_document(snapshot("contradicted"))))
    assert (old["schema"], old["version"]) == ("netprobe/report", 1)
    # Wording may change between versions; the number of findings may not.
    assert new["verdict"].partition(":")[0] == old["verdict"].partition(":")[0]
    assert [one["cause"] for one in new["findings"]] == [one["cause"] for one in old["findings"]]
    assert [one["summary"] for one in new["findings"]] == [one["summary"] for one in old["findings"]]


def test_verifications_are_read_with_their_reasons() -> None:
    first = read_verification(DATA / "documents/verify-first.json")
    assert Counter(str(one.verdict) for one in first) == Counter({
        "unproven": 33, "as intended": 18, "leak": 12, "broken": 9,
    })  # fmt: skip
    assert Counter(map(cell_reason, first)) == Counter({
        "answered": 27, "refused, unproven": 21, "refused": 6, "no probe": 6, "our machine: no sctp": 6,
        "rejected": 3, "dropped": 3,
    })  # fmt: skip
    rejected = [one for one in first if cell_reason(one) == "rejected"]
    assert {one.at for one in rejected} == {"10.12.0.11"}
    assert {str(one.cell.door) for one in rejected} == {"tcp/9771"}


def test_drops_with_their_places_and_agents_that_are_away() -> None:
    second = read_verification(DATA / "documents/verify-second.json")
    told = Counter(map(cell_reason, second))
    assert told == Counter({
        "asker away": 24, "refused, unproven": 13, "answered": 10, "target away": 7, "no probe": 4,
        "our machine: no sctp": 4, "refused": 3, "dropped, hop or target": 2, "dropped, between": 2,
        "rejected": 2, "our filter": 1,
    })  # fmt: skip
    between = [one for one in second if cell_reason(one) == "dropped, between"]
    assert {one.between for one in between} == {("10.11.0.11", "10.12.0.11")}
    (ours,) = (one for one in second if cell_reason(one) == "our filter")
    assert (str(ours.cell.source), str(ours.cell.door), ours.at) == ("prod/w1/pod", "tcp/9772", "this host")


def test_two_verifications_are_compared_as_they_were() -> None:
    old = _document("diff-verify.json")
    first, second = (
        read_verification(DATA / f"documents/verify-{name}.json") for name in ("first", "second")
    )
    compared: Comparison = compare_judged(first, second)
    assert compared.compared == old["compared"] == 72
    kinds = Counter(str(one.kind) for one in compared.changes)
    assert kinds == Counter({kind: count for kind, count in old["counts"].items() if count})
    assert kinds == Counter({"unmeasured": 20, "broken": 2})


def test_two_bundles_are_compared() -> None:
    compared = compare_snapshots(snapshot("healthy"), snapshot("contradicted"))
    assert compared.compared == 289
    kinds = Counter(str(one.kind) for one in compared.changes)
    assert (kinds["broken"], kinds["unmeasured"], kinds["degraded"]) == (97, 80, 6)


def test_every_reason_of_a_cell_is_understood() -> None:
    judged = read_verification(DATA / "made/verify-every-reason.json")
    told = [(str(one.verdict), cell_reason(one)) for one in judged]
    assert told == [
        ("unproven", "nobody asked"), ("as intended", "answered"), ("leak", "answered"),
        ("as intended", "refused, free way"), ("broken", "refused"), ("unproven", "refused, unproven"),
        ("broken", "rejected"), ("as intended", "rejected"), ("unproven", "mute"), ("broken", "no witness"),
        ("unproven", "no witness"), ("broken", "dropped"), ("broken", "our filter"),
        ("broken", "dropped, behind"), ("broken", "dropped, target or us"),
        ("broken", "dropped, hop or target"), ("broken", "dropped, mute hops"),
        ("broken", "dropped, hop or us"), ("broken", "dropped, between"), ("broken", "no witness"),
        ("unproven", "no witness"), ("unproven", "limited"), ("unproven", "limited"),
        ("unproven", "fell silent"), ("unproven", "fell silent"), ("unproven", "too early"),
        ("unproven", "too early"), ("unproven", "we stood still"), ("unproven", "we stood still"),
        ("broken", "starved"), ("unproven", "starved"), ("unproven", "our machine: no sctp"),
        ("unproven", "our machine"), ("unproven", "no probe"), ("unproven", "declined"),
        ("unproven", "declined"), ("unproven", "unreadable"), ("unproven", "nothing said"),
        ("unproven", "target away"), ("unproven", "target away"), ("unproven", "asker away"),
        ("broken", "somebody else"), ("as intended", "answered, coarser"),
    ]  # fmt: skip


def test_incidents_and_health_are_plain_json() -> None:
    lines = (DATA / "documents/incidents.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert [(one["change"], one["verdict"]) for one in told] == [
        ("opened", "broken"), ("opened", "leak"), ("closed", "broken"), ("opened", "leak"),
    ]  # fmt: skip
    health = _document("collector-health.json")
    assert (health["agents_planned"], health["reports_stored"], health["analysis_errors"]) == (4, 90, 0)


# --- the collector -------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return Path(shutil.copy(DATA / "history/history.db", tmp_path / "history.db"))


def test_a_history_goes_on(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        (schema,) = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    assert schema == 1
    history = History.at(database)
    try:
        counted = history.counters()
        assert (counted.reports_stored, counted.windows_stored, counted.reports_repeated) == (90, 700, 0)
        reports = list(history.reports_since(0))
        assert (len(reports), history.count_windows()) == (36, 264)
        assert {str(one.agent) for one in reports} == {"prod/gw/host", "prod/gw/pod", "prod/w1/host"}
        (sick,) = history.incidents_since(0)
        assert (causes([sick]), parts(sick)) == (["agent-sick"], ["agent(prod/gw/pod)"])
        assert sick.ended_ns is not None
        (epoch,) = history.epochs_between(0, reports[-1].start_ns)
        assert (epoch.epoch, epoch.interval_ns) == (1, 1_000_000_000)
        again = history.ingest_columns([columns_of(report) for report in reports[:2]])
        assert again.repeated == 2
    finally:
        history.close()


def test_a_moment_of_the_old_history_is_judged_anew(database: Path) -> None:
    history = History.at(database)
    try:
        key = load_state(DATA / "collector").cookie_key
        at_ns = max(one.start_ns for one in history.reports_since(0)) + 1_000_000_000
        past = Replay(history, make_ports(PlanPolicy()), key)
        taken = past.snapshot_at(at_ns, now_ns=at_ns, known=history.incidents_since(0))
    finally:
        history.close()
    assert agents(taken) == {"prod/w1/pod": ("absent", "never")}
    assert causes(taken.past_findings) == ["agent-sick"]
    assert path_states(taken) == {"up": 15, "down": 6, "unknown": 5}


def test_a_collector_starts_with_its_old_files() -> None:
    state = load_state(DATA / "collector")
    assert (state.epoch, state.fleet) == (1, "49e454bd5360d63cd9d5681e7006ebfd")
    assert len(bytes.fromhex(state.cookie_key)) == 32
    keys = read_keys(DATA / "collector/keys.json")
    assert [str(agent) for agent in keys.agents] == [
        "prod/gw/host", "prod/gw/pod", "prod/w1/host", "prod/w1/pod",
    ]  # fmt: skip
    assert len(keys.operators) == 1
    inventory = load_inventory(DATA / "collector/inventory.yaml")
    assert len(list(inventory.iter_agents())) == 4


def test_a_labs_folder() -> None:
    folder = StateFolder(DATA / "lab")
    told = folder.read_facts()
    assert told is not None
    assert (told.name, told.interval_ns) == ("olddata", 1_000_000_000)
    assert len(read_keys(folder.keys).agents) == 10
    inventory = load_inventory(folder.inventory)
    assert [str(one.name) for one in inventory.clusters] == ["prod", "staging"]


def test_an_agent_sends_what_it_kept(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    shutil.copytree(DATA / "spool", folder)
    spool = Spool(folder)
    assert (len(spool), spool.windows, spool.windows_dropped) == (2, 8, 0)
    sequences = []
    while (report := spool.peek()) is not None:
        sequences.append(report.sequence)
        assert (str(report.agent), len(report.windows)) == ("prod/gw/pod", 4)
        spool.pop()
    assert sequences == [15, 16]
    assert load_bus_addresses(folder, AgentId.parse("prod/gw/pod")) == ("10.255.0.2:4222",)


# --- on the bus ----------------------------------------------------------------------------------


def _bus(name: str) -> bytes:
    return (DATA / f"bus/{name}.bin").read_bytes()


def test_a_plan() -> None:
    plan = messages.decode_plan(_bus("plan"))
    assert (str(plan.agent), plan.epoch, plan.interval_ns) == ("prod/gw/host", 1, 1_000_000_000)
    assert plan.bus == ("10.255.0.2:4222",)
    assert [(str(agent), addresses) for agent, addresses in plan.peers] == [("prod/w1/host", ("10.11.0.12",))]
    assert [(one.probe.kind, one.target.name, str(one.layer)) for one in plan.checks[3:6]] == [
        ("icmp", "prod/w1/host", "node"), ("udp", "prod/w1/host", "node"), ("tcp", "prod/w1/host", "node"),
    ]  # fmt: skip
    assert {str(one.target.kind) for one in plan.checks} == {"agent"}
    assert len(plan.cookie_key) == 32


def test_a_presence() -> None:
    presence = messages.decode_presence(_bus("presence"))
    assert (str(presence.agent), presence.version) == ("prod/gw/host", "0.1.0")
    assert {"icmp-raw", "syn-raw", "idle", "pmtu", "firewalk"} <= set(presence.capabilities)
    assert presence.addresses == ("10.11.0.11",)


def test_a_report() -> None:
    report = decode_report(_bus("report"))
    assert (str(report.agent), report.epoch, report.sequence) == ("prod/gw/host", 1, 34)
    assert windows_by_outcome(report) == {"reached": 7, "refused": 2}
    assert {one.answered_by for one in report.windows} == {"", "prod/gw/pod", "prod/w1/host"}
    assert {one.observed_source for one in report.windows} == {"", "10.11.0.11"}
    assert [one.received for one in report.heard] == [3]
    assert report.health.version == "0.1.0"


def test_a_snapshot() -> None:
    taken = conclusions.decode_snapshot(_bus("snapshot"))
    assert len(taken.checks) == 26
    assert agents(taken) == {"prod/w1/pod": ("absent", "never")}
    assert causes(taken.past_findings) == ["agent-sick"]


def test_what_the_history_keeps_beside_reports() -> None:
    found = conclusions.decode_finding(_bus("finding"))
    assert (str(found.cause), parts(found)) == ("agent-sick", ["agent(prod/gw/pod)"])
    assert "2 agents ping its address and are answered" in evidence(found)
    epoch = conclusions.decode_epoch(_bus("planned-epoch"))
    assert (epoch.epoch, epoch.interval_ns) == (1, 1_000_000_000)
    assert [str(one.name) for one in epoch.inventory.clusters] == ["prod"]
    assert conclusions.decode_moment(_bus("moment")) % 1_000_000_000 == 0


def test_what_a_watcher_tells() -> None:
    told = decode_watched(_bus("watched"))
    assert (told.intent, told.holds_ns) == ("intent.yaml", 36_000_000_000)
    assert [(str(one.verdict), one.rule, one.cells) for one in told.deviations] == [
        ("broken", "prod to staging", 3), ("leak", "no way back", 12), ("broken", "ssh", 6),
    ]  # fmt: skip


# --- questions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", sorted((DATA / "questions").glob("question-*.bin")), ids=lambda path: path.stem
)
def test_questions_are_read(path: Path) -> None:
    question = messages.decode_question(path.read_bytes())
    assert (question.asked_by, str(question.check.source)) == ("ann", "prod/w1/pod")
    told = reply(f"questions/{path.stem.replace('question', 'reply')}")
    assert str(told.agent) == "prod/w1/pod"
    if isinstance(told, messages.CheckAnswer):
        assert (told.check, len(told.outcomes)) == (question.check.id, question.check.count)
        assert len(told.details) == len(told.outcomes)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("icmp", ["reached"] * 3), ("udp", ["reached"] * 3), ("tcp", ["reached"] * 2),
        ("tcp-refused", ["refused"]), ("tcp-rejected", ["rejected"]), ("http", ["reached"]),
        ("tls-failed", ["timed-out"]), ("grpc", ["app-failed"]), ("dns", ["reached"]),
        ("dns-not-resolved", ["not-resolved"]), ("wrong-peer", ["wrong-peer"]), ("timed-out", ["timed-out"]),
        ("udp-too-big", ["not-measured"]), ("pmtu", ["reached"]), ("pmtu-black-hole", ["timed-out"]),
        ("trace", ["reached"]), ("firewalk", ["reached"]), ("firewalk-dropped", ["timed-out"]),
        ("idle-lives", ["reached"]), ("idle-silence", ["timed-out"]), ("idle-reset", ["app-failed"]),
        ("ports", ["reached"]), ("tcp-slow", ["reached"] * 20),
    ],
)  # fmt: skip
def test_outcomes(name: str, kinds: list[str]) -> None:
    assert outcomes(f"questions/reply-{name}") == kinds


def test_every_outcome_with_its_fields() -> None:
    told = answer("made/reply-every-outcome")
    assert [str(one.kind) for one in told.outcomes] == [
        "reached", "refused", "rejected", "timed-out", "too-big", "not-resolved", "tls-failed", "app-failed",
        "wrong-peer", "not-measured",
    ]  # fmt: skip
    rejected: Any = told.outcomes[2]
    assert (rejected.sender, rejected.icmp_type, rejected.icmp_code) == ("10.0.0.1", 3, 13)
    stranger: Any = told.outcomes[8]
    assert (stranger.expected, stranger.answered_by) == ("staging/w9/pod", "staging/w1/pod")


def test_why_nothing_was_measured() -> None:
    told = answer("made/reply-not-measured-every-reason").outcomes
    assert [unmeasured_reason(one) for one in told] == [
        "we stood still", "too late", "buffers", "socket", "socket", "privilege", "family", "kernel",
        "kernel", "buffers", "not asked", "mistake", "too large here", "kernel", "time up", "time up",
        "too many", "machine", "no sctp",
    ]  # fmt: skip
    assert unmeasured_reason(answer("questions/reply-udp-too-big").outcomes[0]) == "too large here"


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("questions/reply-declined-for-now", ("rate", "for now")),
        ("questions/reply-declined-not-allowed", ("not allowed", "for good")),
        ("questions/reply-declined-too-many", ("too many", "for good")),
        ("questions/reply-declined-too-long", ("too long", "for good")),
        ("questions/reply-declined-unknown-kind", ("probe", "for good")),
        ("questions/reply-declined-bad-parameters", ("probe", "for good")),
        ("made/reply-declined-no-answerer", ("no answerer", "for good")),
        ("made/reply-declined-for-another", ("for another", "for good")),
        ("made/reply-declined-no-outcome", ("no outcome", "for good")),
        ("made/reply-declined-bus-timeout", ("bus: timeout", "for good")),
        ("made/reply-declined-bus-nobody", ("bus: nobody", "for good")),
        ("made/reply-declined-not-ssh", ("no way", "for good")),
        ("made/reply-declined-empty", ("", "for good")),
    ],
)
def test_why_a_question_was_declined(name: str, meaning: tuple[str, str]) -> None:
    assert declined(name) == meaning


def test_doors_of_a_host_that_lives_and_one_that_does_not() -> None:
    dead, alive = "10.112.1.10", "10.112.0.10"
    told = port_verdicts("questions/reply-ports")
    seen = {key: (str(one.verdict), port_reason(one)) for key, one in told.items()}
    assert seen == {
        (dead, "udp/53"): ("unknown", "no witness"), (dead, "udp/9771"): ("unknown", "no witness"),
        (dead, "udp/9772"): ("unknown", "no witness"), (dead, "icmp/0"): ("unknown", "no witness"),
        (dead, "tcp/22"): ("unknown", "no witness"), (dead, "tcp/8080"): ("unknown", "no witness"),
        (dead, "tcp/9771"): ("unknown", "no witness"), (dead, "sctp/9"): ("unknown", "our machine: no sctp"),
        (alive, "udp/9771"): ("open", "agent staging/gw/pod"), (alive, "icmp/0"): ("open", ""),
        (alive, "tcp/9771"): ("open", ""), (alive, "tcp/9772"): ("filtered", "our filter"),
        (alive, "tcp/8080"): ("rejected", ""), (alive, "tcp/8081"): ("filtered", ""),
        (alive, "tcp/22"): ("closed", ""), (alive, "udp/53"): ("closed", ""),
        (alive, "sctp/9"): ("unknown", "our machine: no sctp"),
    }  # fmt: skip
    rejected = told[alive, "tcp/8080"]
    assert (rejected.sender, rejected.icmp_type, rejected.icmp_code) == ("10.12.0.11", 3, 13)


def test_every_reason_of_a_door_is_understood() -> None:
    told = sorted(port_verdicts("made/reply-ports-every-reason").values(), key=lambda one: one.port)
    assert [(str(one.verdict), port_reason(one)) for one in told] == [
        ("unknown", "no witness"), ("unknown", "no witness"), ("unknown", "limited"),
        ("unknown", "fell silent"), ("unknown", "too early"), ("unknown", "we stood still"),
        ("unknown", "our machine"), ("unknown", "our machine"), ("unknown", "somebody else"),
        ("unknown", "our machine: no sctp"), ("unknown", "no answer"), ("unknown", "our machine"),
        ("unknown", "not measured"), ("filtered", "our filter"), ("filtered", ""), ("closed", ""),
        ("open", ""), ("open", "agent staging/w1/pod"), ("rejected", ""),
    ]  # fmt: skip
    undecided = {port_reason(one) for one in told if one.reason and one.reason.is_undecided}
    assert undecided == {"limited", "fell silent", "too early", "we stood still"}


def test_where_a_port_is_dropped() -> None:
    (drop,) = read_drops((), answer("questions/reply-drops").details[0].facts)
    assert (drop.address, str(drop.transport), drop.port) == ("10.112.1.10", "tcp", 8080)
    assert drop.after is not None
    assert (drop.before.ttl, drop.before.address, drop.after.ttl) == (4, "10.12.0.12", 5)
    walked = facts("questions/reply-firewalk-dropped")
    assert walked["hop 4"] == "10.12.0.12: port 8080 comes this far"
    assert walked["hop 5"] == "the target: port 22 comes this far, port 8080 does not"


def test_path_mtu_and_hops() -> None:
    assert facts("questions/reply-pmtu")["forward"].startswith("ok: 1420 bytes pass")
    assert facts("questions/reply-pmtu-black-hole")["forward"].startswith("blackhole: 1000 bytes pass")
    hops = facts("questions/reply-trace")
    assert [hops[f"hop {n}"].split(",")[0] for n in (1, 2, 3, 4)] == [
        "10.11.0.12", "10.11.0.11", "10.12.0.11", "10.12.0.12",
    ]  # fmt: skip
    assert hops["hop 5"].startswith("target refuses the port: nobody listens")


def test_how_quiet_flows_end() -> None:
    assert quiet_gaps("questions/reply-idle-lives") == {1: "lives", 2: "lives"}
    assert quiet_gaps("questions/reply-idle-silence") == {1: "lives", 5: "silence"}
    assert quiet_gaps("questions/reply-idle-reset") == {1: "lives", 5: "reset"}
    assert quiet_gaps("made/reply-idle-every-end") == {
        30: "lives", 120: "silence", 180: "reset", 240: "closed", 350: "not waited for",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("idle-lives", []),
        ("idle-silence", ["idle-timeout"]),
        ("idle-reset", ["idle-timeout"]),
        ("tcp-slow", []),
    ],
)
def test_what_patient_questions_of_then_mean(name: str, rows: list[str]) -> None:
    assert marked_rows(name) == rows


# --- an agent's own two pipes ----------------------------------------------------------------------


def _lines(name: str) -> list[bytes]:
    return (DATA / f"stream/{name}.jsonl").read_bytes().splitlines()


def test_what_a_streaming_agent_hears() -> None:
    follow, *put = map(stream.decode_input_line, _lines("stream-in"))
    assert isinstance(follow, stream.FollowPlan)
    assert (str(follow.plan.agent), len(follow.plan.checks)) == ("prod/gw/host", 9)
    asked = [
        (one.number, messages.decode_question(one.message).check)
        for one in put
        if isinstance(one, stream.QuestionLine)
    ]
    assert [(number, one.probe.kind, one.target.address) for number, one in asked] == [
        (1, "icmp", "10.11.0.12"), (2, "tcp", "192.0.2.1"),
    ]  # fmt: skip


def test_what_a_streaming_agent_says() -> None:
    taken, second, first, *told = map(stream.decode_output_line, _lines("stream-out"))
    assert isinstance(taken, stream.PlanTaken)
    assert (taken.epoch, taken.version, taken.unaskable) == (1, "0.1.0", ())
    assert isinstance(second, stream.ReplyLine)
    assert second.number == 2
    assert isinstance(messages.decode_reply(second.message), messages.Declined)
    assert isinstance(first, stream.ReplyLine)
    assert isinstance(messages.decode_reply(first.message), messages.CheckAnswer)
    for one in told:
        assert isinstance(one, stream.MeasuredLine)
        assert len(one.measured.windows) == 9
    assert len(told) == 3


def test_what_an_agent_without_a_bus_writes() -> None:
    plan = read_plan(DATA / "stream/plan.json")
    assert (str(plan.agent), len(plan.checks)) == ("prod/gw/host", 9)
    measured = [decode_measured(line) for line in _lines("measured")]
    assert [one.length_ns for one in measured] == [1_000_000_000] * 2
    for one in measured:
        counted = Counter(str(kind) for window in one.windows for kind, _ in window.outcomes)
        assert counted == Counter({"reached": 5, "refused": 4})
        assert {window.check for window in one.windows} == {check.id for check in plan.checks}
