"""State that a collector keeps between runs: its key, the fleet's cookie key and seed, and the epoch.

Rule: a restart with the same directory continues where the last run stopped. The epoch rises only when the
plans change. Files are replaced atomically, so a crash leaves the old or the new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from netprobe.bus.callout import issuer_key, new_issuer
from netprobe.bus.keys import new_user, read_seed, write_seed
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.fleet import FleetPlan
from netprobe.store.private_file import replace_file
from netprobe.wire.messages import encode_planned


@dataclass(frozen=True, slots=True)
class PersistedState:
    """One state file."""

    epoch: int
    seed: int
    """Seeds what the planner chooses at random."""
    cookie_key: str
    """Hexadecimal: the one key of a fleet of the previous build. Digests in the history depend on it, and it
    goes out only while there are such agents (:mod:`netprobe.collector.plan_keys`)."""
    fleet: str = ""
    """Digest of the plans of *epoch*."""
    pair_keys: bool = True
    """Written by a build whose agents have keys of their own; the previous build leaves it out."""


def plan_same_epoch(
    state: PersistedState, plan: Callable[[PersistedState], FleetPlan]
) -> tuple[PersistedState, FleetPlan]:
    """Plan with *state*; where the plans are not those of the last run, plan the next epoch instead."""
    fleet = plan(state)
    if state.fleet and digest_of(fleet) != state.fleet:
        state = replace(state, epoch=state.epoch + 1)
        fleet = plan(state)
    return replace(state, fleet=digest_of(fleet)), fleet


def plan_next_epoch(
    state: PersistedState, plan: Callable[[PersistedState], FleetPlan], fleet: FleetPlan
) -> tuple[PersistedState, FleetPlan]:
    """Plan the next epoch; if its checks equal those of *fleet*, keep that one."""
    following = replace(state, epoch=state.epoch + 1)
    planned = plan(following)
    digest = digest_of(planned)
    if digest == state.fleet:
        return state, fleet
    return replace(following, fleet=digest), planned


def load_state(directory: Path) -> PersistedState:
    """The state kept in *directory*, or a fresh one."""
    path = directory / "state.json"
    try:
        saved = json.loads(path.read_text())
        state = PersistedState(
            int(saved["epoch"]), int(saved["seed"]), str(saved["cookie_key"]), str(saved["fleet"])
        )
        bytes.fromhex(state.cookie_key)
    except FileNotFoundError:
        return PersistedState(epoch=1, seed=secrets.randbits(63), cookie_key=secrets.token_hex(32))
    except OSError as error:
        raise SystemRefusedError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "is not a collector's state; remove it to start from nothing", where=str(path)
        ) from error
    return state


def save_state(directory: Path, state: PersistedState) -> None:
    """Keep *state* in *directory*."""
    replace_file(directory / "state.json", json.dumps(asdict(state)))


def load_own_seed(directory: Path) -> str:
    """The collector's own key, made on the first run."""
    path = directory / "collector.seed"
    if not path.exists():
        seed, _ = new_user()
        write_seed(path, seed)
    return read_seed(path)


def load_issuer_seed(directory: Path) -> str:
    """The key that signs permissions of agents that use a token, made on the first run."""
    path = directory / "issuer.seed"
    if not path.exists():
        write_seed(path, new_issuer())
    return read_seed(path, public=issuer_key)


@contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """Lock *directory* for the time of the block; a second collector is refused."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (directory / "lock").open("w")
    except OSError as error:
        raise SystemRefusedError(f"{directory}: cannot be used: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SystemRefusedError(f"{directory}: another collector uses it") from error
        yield


def digest_of(fleet: FleetPlan) -> str:
    """Names the plans' content, whatever their epoch."""
    digest = hashlib.blake2b(digest_size=16)
    for plan in fleet.plans:
        digest.update(encode_planned(replace(plan, epoch=0)))
    return digest.hexdigest()
