"""What takes one guard away, each as narrow as possible and as the build before behaved.

Rule: only production code and its constants are replaced; the attacks stay as they are. What an attack has
imported by name is replaced where it was imported.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from netprobe.analysis.analyst import Analyst
from netprobe.analysis.diagnosis import pipeline
from netprobe.analysis.intervals.clocks import AgentClocks
from netprobe.bus import accounts, callout, collector, tokens
from netprobe.bus.accounts import COLLECTOR_ACCOUNT, Accounts
from netprobe.bus.agent import AgentBus
from netprobe.bus.callout import Caller
from netprobe.bus.collector import CollectorBus, Delivery
from netprobe.bus.connection import Message
from netprobe.bus.connection_limit import ConnectionLimit
from netprobe.bus.subjects import windows_subject
from netprobe.bus.tokens import Bearer, RefusalReason, TokenRefusal, TrustedCluster
from netprobe.collector import admission, registry, report_ingest, report_validation
from netprobe.collector.admission import Admission
from netprobe.collector.limited_log import LimitedLog
from netprobe.collector.registry import ClusterRegistry
from netprobe.collector.report_allowance import ReportAllowance
from netprobe.collector.report_ingest import ReportIngest
from netprobe.collector.report_validation import ReportValidator
from netprobe.discovery.k8s.kubeconfig import Context, read_contexts
from netprobe.discovery.presence_ranges import PresenceRanges
from netprobe.engine.echo.udp import UdpEcho
from netprobe.engine.keyring import Keyring
from netprobe.engine.responder import identity_http
from netprobe.engine.responder.identity_http import IdentityServer
from netprobe.engine.responder.reflector import Reflector, _Session
from netprobe.model import clean_text
from netprobe.model.check import Check
from netprobe.model.names import AgentId
from netprobe.model.units import SECOND_NS
from netprobe.model.window import Report
from netprobe.render.terminal.console import TextConsole
from netprobe.store import history, history_tables
from netprobe.wire import pair_keys
from netprobe.wire.clusters import RegisteredDoc
from netprobe.wire.pair_keys import derive_asker_key
from netprobe.wire.reports import ReportColumns, encode_report, select_windows
from netprobe_agent.spool import Spool
from tests.attack import disks, world
from tests.attack.weakened_program import BUS_SERVER

Removal = AbstractContextManager[object]
NO_LIMIT = -1
"""As nats-server writes it."""
_MANY = 1_000_000
_PATIENCE_S = 12
"""Several times as long as the care of the bus server takes to start one that is stuck."""


@contextmanager
def replace_all(*patches: AbstractContextManager[object]) -> Iterator[None]:
    """Several replacements at once."""
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield


def join_accounts() -> Removal:
    """Agents, operators, the collector and its streams are in one account, as in the build before."""
    separate = accounts.accounts

    def make(agents: dict[AgentId, str], operators: tuple[str, ...], own: str) -> Accounts:
        users = [user for account in separate(agents, operators, own).values() for user in account["users"]]
        return {COLLECTOR_ACCOUNT: {"jetstream": "enabled", "users": users}}

    return replace_all(
        patch.object(world, "accounts", make), patch.object(callout, "AGENTS_ACCOUNT", COLLECTOR_ACCOUNT)
    )


def allow_every_subject() -> Removal:
    """Users have no permissions; accounts stay."""

    def make_agent(_: AgentId, public: str) -> dict[str, Any]:
        return {"nkey": public}

    def make_operator(public: str) -> dict[str, Any]:
        return {"nkey": public}

    return replace_all(
        patch.object(accounts, "agent_user", make_agent),
        patch.object(accounts, "operator_user", make_operator),
    )


def believe_status_headers() -> Removal:
    """A message with a status is the end of a request, also where an agent has sent it."""
    real = CollectorBus._delivery_of

    def read(bus: CollectorBus, message: Message) -> Delivery | None:
        if message.header("Status"):
            bus._asked_for = 0
            return None
        return real(bus, message)

    return patch.object(CollectorBus, "_delivery_of", read)


def restore_nothing() -> Removal:
    """The collector does not look for its streams."""

    async def find(_: CollectorBus) -> tuple[str, ...]:
        return ()

    return patch.object(CollectorBus, "find_missing", find)


def name_reports() -> Removal:
    """A report has an id that others can know, the stream remembers ids, and a repeat counts as stored."""

    async def publish(bus: AgentBus, report: Report, *, timeout_s: float = 5.0) -> None:
        assert bus._connection is not None
        name = f"{report.agent}#{report.boot}#{report.sequence}"
        await bus._connection.request(
            windows_subject(bus._agent), encode_report(report), timeout_s=timeout_s,
            headers={"Nats-Msg-Id": name},
        )  # fmt: skip

    return replace_all(
        patch.object(AgentBus, "publish", publish), patch.object(collector, "_DUPLICATE_WINDOW_S", 20.0)
    )


def share_one_key() -> Removal:
    """One key for every asker and responder."""
    return patch.object(pair_keys, "_derive", lambda key, told: b"one key for all ")


def believe_every_address() -> Removal:
    """An answer counts from wherever it comes."""
    real = UdpEcho._route_of

    def find(echo: UdpEcho, check: Check) -> Any:
        return real(echo, check)._replace(is_translated=True)

    return patch.object(UdpEcho, "_route_of", find)


def believe_recordings() -> Removal:
    """A request counts as of now, whenever it was sealed."""
    real = Reflector.reflect

    def reflect(reflector: Reflector, request: Any, arrival: Any, *, interval_ns: int) -> Any:
        fresh = request._replace(nonce=reflector._nonce)
        return real(reflector, fresh, arrival, interval_ns=interval_ns)

    return patch.object(Reflector, "reflect", reflect)


def answer_repeats() -> Removal:
    """A number that was seen is answered again."""
    return patch.object(_Session, "is_new", lambda session, sequence: True)


def answer_every_name() -> Removal:
    """Every agent that has a key of ours is answered, whether the plan names it or not."""

    def keys_of(keyring: Keyring, asker: bytes) -> tuple[bytes, ...]:
        return tuple(derive_asker_key(key, asker) for key in keyring._responder_keys)

    return patch.object(Keyring, "_keys_of", keys_of)


def drop_the_future() -> Removal:
    """Windows that are later than the collector's wall clock are dropped from their report."""
    real = ReportValidator._keep_asked

    def keep(validator: ReportValidator, columns: ReportColumns) -> ReportColumns:
        kept = real(validator, columns)
        starts = kept.windows.start_ns or [kept.start_ns] * len(kept.windows.check)
        latest_ns = time.time_ns() + 5 * SECOND_NS
        return select_windows(kept, [start_ns <= latest_ns for start_ns in starts])

    return patch.object(ReportValidator, "_keep_asked", keep)


def ignore_own_steps() -> Removal:
    """That the collector's clock was set changes nothing."""
    return patch.object(Analyst, "step_clock", lambda analyst, by_ns, *, now_ns: None)


def believe_every_clock() -> Removal:
    """Times in reports are compared with the collector's wall clock as they are."""
    return replace_all(
        patch.object(AgentClocks, "align", lambda clocks, report, *, arrived_ns: report),
        patch.object(AgentClocks, "is_known", lambda clocks, agent: True),
    )


def refuse_the_newest() -> Removal:
    """Where every connection is taken, the newest caller is turned away, also one that asks for health."""

    def admit(server: IdentityServer, writer: Any) -> None:
        server._silent[writer] = ""
        if len(server._silent) > identity_http.MAX_CONNECTIONS:
            server._drop(writer)

    return patch.object(IdentityServer, "_admit", admit)


def leave_the_bus_server() -> Removal:
    """In the collector of the experiment."""
    program = f"tests.attack.weakened_program {BUS_SERVER} benchmarks.chaos.collector_with_clock"
    return patch.object(disks, "CHAOS_OPTIONS", ("--program", program, "--patience", str(_PATIENCE_S)))


def fail_on_a_lock() -> Removal:
    """A history that cannot be written ends the one who writes."""

    async def write_once(_: ReportIngest, write: Callable[[], Any]) -> Any:
        return write()

    return patch.object(ReportIngest, "_patiently", write_once)


def leave_controls() -> Removal:
    """Control characters stay in texts."""
    return patch.object(clean_text, "_UNSAFE", re.compile(r"(?!)"))


def read_markup() -> Removal:
    """A console reads rich's markup in every text."""
    real = TextConsole.__init__

    def make(console: TextConsole, **options: Any) -> None:
        real(console, **options)
        console._markup = True

    return patch.object(TextConsole, "__init__", make)


def believe_one_node() -> Removal:
    """An accusation counts in full, also where one node alone makes it."""
    return patch.object(pipeline, "weigh_reporting_nodes", lambda hypothesis, observation, index: hypothesis)


def allow_roll_ups() -> Removal:
    """Buckets take the header that removes what others said."""
    real = collector._bucket

    def make(name: str, keys: str, *, storage: str, ttl_s: float) -> dict[str, object]:
        return real(name, keys, storage=storage, ttl_s=ttl_s) | {"allow_rollup_hdrs": True}

    return patch.object(collector, "_bucket", make)


def keep_every_address() -> Removal:
    """An agent is where it says that it is."""
    return patch.object(PresenceRanges, "keep", lambda ranges, plane, addresses: addresses)


def lift_bus_limits() -> Removal:
    """No limit of messages, of sizes or of subscriptions."""
    return replace_all(
        patch.object(collector, "MAX_WAITING", _MANY),
        patch.object(collector, "MAX_PRESENCE_BYTES", _MANY),
        patch.object(accounts, "AGENT_SUBSCRIPTIONS", NO_LIMIT),
        patch.object(accounts, "OPERATOR_SUBSCRIPTIONS", NO_LIMIT),
        patch.object(accounts, "AGENT_PAYLOAD_BYTES", NO_LIMIT),
        patch.object(callout, "AGENT_SUBSCRIPTIONS", NO_LIMIT),
        patch.object(callout, "AGENT_PAYLOAD_BYTES", NO_LIMIT),
    )


def lift_collector_limits() -> Removal:
    """Every line is written; reports are acknowledged at once, in the order of arrival, and kept whole."""
    real = history_tables.row_of

    def row(columns: ReportColumns, _: int) -> dict[str, object]:
        return real(columns, history._NO_LIMIT_NS)

    return replace_all(
        write_every_line(),
        patch.object(ReportAllowance, "hold", lambda allowance, delivery, *, now_s: False),
        patch.object(report_ingest, "take_turns", lambda deliveries: iter([tuple(deliveries)])),
        patch.object(report_validation, "drop_unused", lambda columns: columns),
        patch.object(history, "row_of", row),
    )


def keep_every_connection() -> Removal:
    """An agent may have as many connections as it likes."""

    async def start(_: ConnectionLimit) -> None:
        pass

    return patch.object(ConnectionLimit, "start", start)


def write_every_line() -> Removal:
    """Strangers cause as many lines of the log as they like."""
    return patch.object(LimitedLog, "take", lambda log, key, *, now_ns: 0)


def write_raw_names() -> Removal:
    """A caller's name is logged as it is. (A record's line is cleaned once more when it is formatted.)"""
    return patch.object(admission, "printable", lambda text: text)


def ignore_missing_tokens() -> Removal:
    """A caller without a token is refused and not counted."""
    real = Admission.conclude

    def conclude(
        gate: Admission, caller: Caller, verdict: Bearer | TokenRefusal, *, now_ns: int
    ) -> Bearer | TokenRefusal:
        if isinstance(verdict, TokenRefusal) and verdict.reason is RefusalReason.NO_TOKEN:
            return verdict
        return real(gate, caller, verdict, now_ns=now_ns)

    return patch.object(Admission, "conclude", conclude)


def believe_claimed_names() -> Removal:
    """A refusal is remembered as that of the agent that a caller names."""
    real = Admission.conclude

    def conclude(
        gate: Admission, caller: Caller, verdict: Bearer | TokenRefusal, *, now_ns: int
    ) -> Bearer | TokenRefusal:
        if isinstance(verdict, TokenRefusal):
            verdict = replace(verdict, is_own=True)
        return real(gate, caller, verdict, now_ns=now_ns)

    return patch.object(Admission, "conclude", conclude)


def try_clusters_by_name() -> Removal:
    """Of the clusters of one issuer, the one that sorts first decides."""
    real = tokens._find_signer

    def find(token: str, header: dict[str, Any], clusters: list[TrustedCluster]) -> Any:
        return real(token, header, sorted(clusters, key=lambda cluster: cluster.name))

    return patch.object(tokens, "_find_signer", find)


def register_everything() -> Removal:
    """A registration may hold another cluster's keys, any number of keys, and a program that we run."""

    def read_access(doc: RegisteredDoc, file: Path) -> Context | None:
        return read_contexts([file.parent / doc.kubeconfig]).choose([])[0] if doc.kubeconfig else None

    return replace_all(
        patch.object(ClusterRegistry, "_expect_own_keys", lambda folder, found, file: None),
        patch.object(registry, "_access_of", read_access),
        patch.object(registry, "MAX_KEYS", _MANY),
        patch.object(tokens, "MAX_KEYS", _MANY),
        patch.object(tokens, "_MAX_OF_ONE_ID", _MANY),
    )


def believe_every_time() -> Removal:
    """A claim may name any time."""
    return patch.object(tokens, "_LAST_S", float("inf"))


def fail_on_a_bad_disk() -> Removal:
    """What the disk refuses is raised."""

    def fail(_: Spool, error: OSError) -> None:
        raise error

    return patch.object(Spool, "_note_refusal", fail)
