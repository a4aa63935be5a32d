"""The master secret of a fleet's keys, the key epoch, and how long the previous build's key still goes out.

Rules:

- the secret is made once and stays in ``plan-keys.json``, which only its owner may read. To change every key
  at once, stop the collector, remove that file and start it again;
- a new key epoch begins after :data:`KEY_EPOCH_NS`, whatever the plans do. A clock that was set back only
  prolongs an epoch;
- plans hold the one key of the previous build only after an upgrade, until every agent has been seen that
  needs it no more, and never for longer than :data:`UPGRADE_NS`.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.capability import Capability
from netprobe.model.check import Plan
from netprobe.model.inventory import Inventory
from netprobe.model.names import AgentId
from netprobe.model.units import HOUR_NS
from netprobe.planning.plan_keys import add_keys, remove_keys
from netprobe.store.private_file import replace_file
from netprobe.wire.messages import Presence

KEY_EPOCH_NS = 24 * HOUR_NS
"""How long agents are asked with one key; it is believed for as long before and after."""
UPGRADE_NS = 7 * 24 * HOUR_NS
"""How long agents of the previous build are served after the collector's upgrade."""
_FILE = "plan-keys.json"
_SECRET_BYTES = 32
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyState:
    """What the file holds."""

    master: str
    """Hexadecimal."""
    epoch: int
    since_ns: int
    """Wall time at which the epoch began."""
    upgraded_ns: int
    """Wall time of the first start after an upgrade; 0 in a fleet that never had another build."""
    able: tuple[str, ...] = ()
    """Agents that were seen not to need the previous build's key, while that matters."""


class PlanKeys:
    """The keys of one fleet. Raises :class:`NetprobeError` if its file cannot be used."""

    def __init__(self, folder: Path, *, now_ns: int) -> None:
        self._folder = folder
        is_upgrade = _comes_from_previous_build(folder)
        self._state = _load(folder) or KeyState(
            secrets.token_hex(_SECRET_BYTES), epoch=1, since_ns=now_ns, upgraded_ns=0
        )
        if is_upgrade:
            self._state = replace(self._state, upgraded_ns=now_ns, able=())
        self._refused: set[AgentId] = set()
        self._save()

    def serves_previous_build(self, agents: Collection[AgentId], *, now_ns: int) -> bool:
        """Whether plans for *agents* hold the previous build's key."""
        since_ns = self._state.upgraded_ns
        if not since_ns or not 0 <= now_ns - since_ns < UPGRADE_NS:
            return False
        return not {str(agent) for agent in agents}.issubset(self._state.able)

    def advance(self, *, now_ns: int) -> bool:
        """Begin the next key epoch if it is due; return whether it began."""
        age_ns = now_ns - self._state.since_ns
        if 0 <= age_ns < KEY_EPOCH_NS:
            return False
        is_due = age_ns >= 0
        self._state = replace(self._state, since_ns=now_ns, epoch=self._state.epoch + is_due)
        self._save()
        if is_due:
            logger.info("key epoch %d begins", self._state.epoch)
        return is_due

    def note_present(self, present: Collection[Presence], *, now_ns: int) -> bool:
        """Learn of which build the agents are; return whether other keys must go out for that."""
        able = {str(one.agent) for one in present if Capability.PAIR_KEYS in one.capabilities and one.epoch}
        news = able.difference(self._state.able)
        if self._state.upgraded_ns and news:
            self._state = replace(self._state, able=tuple(sorted({*self._state.able, *able})))
            self._save()
        older = {one.agent for one in present if Capability.PAIR_KEYS not in one.capabilities}
        is_over = not 0 <= now_ns - self._state.upgraded_ns < UPGRADE_NS
        for agent in sorted(older - self._refused) if is_over else ():
            self._refused.add(agent)
            logger.warning(
                "%s is of the previous build, whose packets are not answered now: upgrade it", agent
            )
        return bool(self._state.upgraded_ns and news)

    def add_to(
        self, plans: Sequence[Plan], withdrawn: Sequence[Plan], inventory: Inventory, *, now_ns: int
    ) -> Iterator[Plan]:
        """*plans* with their keys, then *withdrawn* ones without any."""
        state, agents = self._state, [plan.agent for plan in plans]
        is_mixed = self.serves_previous_build(agents, now_ns=now_ns)
        known = {agent for agent in agents if str(agent) in set(state.able)} if is_mixed else None
        yield from add_keys(
            plans, inventory, master=bytes.fromhex(state.master), key_epoch=state.epoch,
            fleet_key=plans[0].cookie_key if is_mixed else b"", able=known,
        )  # fmt: skip
        for plan in withdrawn:
            empty = remove_keys(plan)
            # an agent of the previous build takes no plan without a key: this one is good for nothing
            yield replace(empty, cookie_key=secrets.token_bytes(_SECRET_BYTES)) if is_mixed else empty

    def _save(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._folder / _FILE, json.dumps(asdict(self._state)))


def _comes_from_previous_build(folder: Path) -> bool:
    """Whether the last collector in *folder* was of the previous build; also after going back to it."""
    try:
        saved = json.loads((folder / "state.json").read_text())
    except (OSError, ValueError):
        return False  # a new fleet; a spoilt file is another's to report
    return isinstance(saved, dict) and not saved.get("pair_keys")


def _load(folder: Path) -> KeyState | None:
    path = folder / _FILE
    try:
        saved = json.loads(path.read_text())
        state = KeyState(
            str(saved["master"]), int(saved["epoch"]), int(saved["since_ns"]), int(saved["upgraded_ns"]),
            tuple(map(str, saved["able"])),
        )  # fmt: skip
        bytes.fromhex(state.master)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemRefusedError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "does not hold the fleet's secret; remove it to make another", where=str(path)
        ) from error
    return state
