"""Which guard closes each fault that attacks have found, and what happens without it.

Rule: an attack proves something only if it can fail. So for each fault the guard is taken away, and then at
least one attack has to fall; a fault may have several guards, and each has a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.attack import removals
from tests.attack.experiments import EXPERIMENTS
from tests.attack.removals import Removal
from tests.attack.replies import ROLES
from tests.attack.tally import AttackTally

FAULTS = ("F1", "F2", "F3", "F4", "F4b", "F5", "F6", "F7", "F8", "F9", "F10", "F11", "F12", "F13")
"""As the list of faults numbers them."""


@dataclass(frozen=True, slots=True)
class RemovedGuard:
    """One guard, and the attacks that show that it is missing."""

    fault: str
    guard: str
    """What in our code or configuration closes the fault."""
    kinds: tuple[str, ...]
    """Attacks that fall without it."""
    remove: Callable[[], Removal]
    falls: tuple[str, ...] = ()
    """Tries that have to be among those that fall."""

    async def attack(self) -> dict[str, AttackTally]:
        """Take it away and attack."""
        with self.remove():
            return {kind: await EXPERIMENTS[kind]() for kind in self.kinds}

    def is_found(self, tallies: dict[str, AttackTally]) -> bool:
        """Whether every kind of attack fell, and with it every try that has to."""
        fell = {what for tally in tallies.values() for what in tally.fell}
        return all(tally.fell for tally in tallies.values()) and fell.issuperset(self.falls)


REMOVED_GUARDS = (
    RemovedGuard(
        "F1",
        "The collector and its streams have a NATS account of their own.",
        (*(f"replies of an {role}" for role in ROLES), "answers to plans"),
        removals.join_accounts,
    ),
    RemovedGuard(
        "F1",
        "The bus server lets each user say and hear only its own subjects.",
        ("subjects of others",),
        removals.allow_every_subject,
        ("say np1.windows.prod.w2.pod",),
    ),
    RemovedGuard(
        "F1",
        "What ends a request for reports is known by its subject, not by headers of a sender.",
        ("statuses",),
        removals.believe_status_headers,
    ),
    RemovedGuard(
        "F1",
        "The collector looks for its streams and its consumer, and restores what is gone.",
        ("streams",),
        removals.restore_nothing,
    ),
    RemovedGuard(
        "F2",
        "Reports carry no message ids, and the stream forgets ids at once.",
        ("message ids",),
        removals.name_reports,
    ),
    RemovedGuard(
        "F3",
        "Each pair of asker and responder has a key of its own.",
        ("stolen plans", "recorded requests"),
        removals.share_one_key,
        ("at another agent, counted",),
    ),
    RemovedGuard(
        "F3",
        "An answer counts only from the address that was asked.",
        ("answers from elsewhere",),
        removals.believe_every_address,
    ),
    RemovedGuard(
        "F3",
        "A request counts only with the responder's nonce, or if it was sealed after the responder's start.",
        ("recorded requests",),
        removals.believe_recordings,
        ("after a restart, counted",),
    ),
    RemovedGuard(
        "F3",
        "A window of sequence numbers remembers which requests were answered.",
        ("recorded requests",),
        removals.answer_repeats,
        ("again",),
    ),
    RemovedGuard(
        "F3",
        "A responder answers only agents that its plan names.",
        ("requests of strangers",),
        removals.answer_every_name,
        ("not a peer",),
    ),
    RemovedGuard(
        "F4",
        "A report is stored whatever its times say.",
        ("clock of the collector", "clocks of agents"),
        removals.drop_the_future,
        ("the collector's clock at -1 h: all is stored", "an agent's clock at +1 h: all is stored"),
    ),
    RemovedGuard(
        "F4",
        "Where the collector's clock was set, every path is unknown until it is measured.",
        ("clock of the collector",),
        removals.ignore_own_steps,
        ("the collector's clock at -1 h: unknown at once",),
    ),
    RemovedGuard(
        "F4",
        "How far an agent's clock is off is read from when its reports arrive.",
        ("clock of the collector", "clocks of agents"),
        removals.believe_every_clock,
        ("an agent's clock at -1 h: named", "an agent's clock at +1 h: named"),
    ),
    RemovedGuard(
        "F4b",
        "Where an agent's connections are all taken, the oldest silent one gives way.",
        ("silent connections",),
        removals.refuse_the_newest,
    ),
    RemovedGuard(
        "F5",
        "The collector sends itself messages through the bus, and starts a bus server that keeps them again. "
        "The check of the volume says the same and is removed, too.",
        ("full disk",),
        removals.leave_the_bus_server,
        ("heals by itself",),
    ),
    RemovedGuard(
        "F6",
        "A history that cannot be written is tried again; meanwhile reports wait on the bus.",
        ("locked history",),
        removals.fail_on_a_lock,
        ("it goes on",),
    ),
    RemovedGuard(
        "F7",
        "Control characters in texts are replaced where a view, a report or a log line is written.",
        ("hostile texts",),
        removals.leave_controls,
    ),
    RemovedGuard(
        "F7",
        "The console for tables reads no markup.",
        ("hostile texts",),
        removals.read_markup,
        ("findings: closing markup", "findings: an address in brackets"),
    ),
    RemovedGuard(
        "F8",
        "What one node alone reports weighs 0.5 at most, and what others measured is said beside it.",
        ("lies",),
        removals.believe_one_node,
    ),
    RemovedGuard("F9", "Buckets refuse roll-ups.", ("roll-ups",), removals.allow_roll_ups),
    RemovedGuard(
        "F9",
        "Addresses that an agent says it has count only within its cluster's ranges.",
        ("addresses",),
        removals.keep_every_address,
        ("pod 203.0.113.9", "host 203.0.113.9"),
    ),
    RemovedGuard(
        "F10",
        "The bus server limits messages in the stream, sizes and subscriptions of each agent.",
        ("quotas",),
        removals.lift_bus_limits,
        ("messages", "a large presence", "subscriptions", "payload"),
    ),
    RemovedGuard(
        "F10",
        "The collector takes agents in turn, acknowledges floods late, keeps what is used, logs one line.",
        ("floods",),
        removals.lift_collector_limits,
        (
            "junk: one line",
            "many: acknowledged late",
            "many: another's is taken in turn",
            "large: another's is taken first",
            "large: kept without what no window uses",
            "another century: is pruned some day",
        ),
    ),
    RemovedGuard(
        "F10",
        "The collector ends the older connections of an agent that has too many.",
        ("many connections",),
        removals.keep_every_connection,
    ),
    RemovedGuard(
        "F11",
        "The log has one line per kind of refusal and minute.",
        ("logins",),
        removals.write_every_line,
        ("few lines",),
    ),
    RemovedGuard(
        "F11",
        "Names of callers are logged without control characters.",
        ("logins",),
        removals.write_raw_names,
        ("lines of their own",),
    ),
    RemovedGuard(
        "F11",
        "Callers without a token are counted.",
        ("logins",),
        removals.ignore_missing_tokens,
        ("counted",),
    ),
    RemovedGuard(
        "F11",
        "A refusal is held against an agent only if its cluster has signed the token.",
        ("logins",),
        removals.believe_claimed_names,
        ("refused in another's name",),
    ),
    RemovedGuard(
        "F12",
        "The cluster that a caller names is tried first.",
        ("clusters",),
        removals.try_clusters_by_name,
        ("copied keys",),
    ),
    RemovedGuard(
        "F12",
        "A registration with another's keys, with too many keys or with an exec plug-in is refused.",
        ("clusters",),
        removals.register_everything,
        ("another's key", "many", "exec", "many keys of one id: the last one is not tried"),
    ),
    RemovedGuard(
        "F12",
        "A claim of a time that no clock reaches is refused.",
        ("clusters",),
        removals.believe_every_time,
        (f"exp {1e12}",),
    ),
    RemovedGuard(
        "F13",
        "What an agent's disk refuses is kept in memory.",
        ("spools",),
        removals.fail_on_a_bad_disk,
        ("no folder: a report", "no room: a report"),
    ),
)
