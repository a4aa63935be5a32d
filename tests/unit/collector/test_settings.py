"""The keys file and the state: what is wrong is named, what is kept comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from netprobe.bus.keys import new_user
from netprobe.bus.keys_file import Keys, read_keys
from netprobe.collector.persisted_state import (
    PersistedState,
    load_own_seed,
    load_state,
    lock_directory,
    plan_same_epoch,
    save_state,
)
from netprobe.errors import InputError, SystemRefusedError
from netprobe.model.check import Plan
from netprobe.model.fleet import Coverage, FleetPlan
from netprobe.model.names import AgentId

AGENT = AgentId.parse("prod/w1/pod")
PUBLIC = new_user()[1]
OTHER_PUBLIC = new_user()[1]


def write(directory: Path, told: object) -> Path:
    path = directory / "keys.json"
    path.write_text(json.dumps(told))
    return path


def test_keys_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, {"agents": {str(AGENT): PUBLIC}, "operators": [OTHER_PUBLIC]})
    assert read_keys(path) == Keys({AGENT: PUBLIC}, (OTHER_PUBLIC,))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        pytest.param({"agents": {"prod/w1": PUBLIC}}, "agents: 'prod/w1' is not", id="no agent"),
        pytest.param(
            {"agents": {str(AGENT): "SU"}}, f"agents.{AGENT}: is not a user's public key", id="no key"
        ),
        pytest.param(
            {"agents": {}, "operators": ["U"]}, r"operators\[0\]: is not a user's", id="no operator"
        ),
        pytest.param(
            {"agents": {str(AGENT): PUBLIC}, "operators": [PUBLIC]},
            r"operators\[0\]: has the same key",
            id="twice",
        ),
        pytest.param({"operators": []}, "missing required field 'agents'", id="no agents"),
        pytest.param({"agents": {}, "spies": []}, "unknown field 'spies'", id="unknown field"),
    ],
)
def test_a_wrong_keys_file_is_one_line(tmp_path: Path, told: object, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_keys(write(tmp_path, told))
    assert str(caught.value).startswith(str(tmp_path / "keys.json"))
    assert "\n" not in str(caught.value)


def fleet(state: PersistedState, *, interval_ns: int = 1) -> FleetPlan:
    plan = Plan(AGENT, state.epoch, (), interval_ns, bytes.fromhex(state.cookie_key))
    return FleetPlan(state.epoch, interval_ns, (plan,), (), Coverage())


def test_a_fresh_state_begins_with_the_first_epoch_and_is_kept(tmp_path: Path) -> None:
    state, planned = plan_same_epoch(load_state(tmp_path), fleet)
    assert planned.epoch == 1
    save_state(tmp_path, state)
    assert load_state(tmp_path) == state
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


def test_equal_plans_keep_their_epoch_and_others_begin_the_next(tmp_path: Path) -> None:
    state, _ = plan_same_epoch(load_state(tmp_path), fleet)
    same, _ = plan_same_epoch(state, fleet)
    assert same == state
    changed, planned = plan_same_epoch(state, lambda state: fleet(state, interval_ns=2))
    assert (changed.epoch, planned.epoch, planned.plans[0].epoch) == (2, 2, 2)
    assert changed.cookie_key == state.cookie_key
    assert plan_same_epoch(changed, lambda state: fleet(state, interval_ns=2))[0] == changed


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"epoch": 1, "seed": 1, "cookie_key": "xy", "fleet": ""}'])
def test_a_broken_state_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match=r"state\.json: is not a collector's state"):
        load_state(tmp_path)


def test_the_collectors_own_key_is_made_once(tmp_path: Path) -> None:
    assert load_own_seed(tmp_path) == load_own_seed(tmp_path)
    assert (tmp_path / "collector.seed").stat().st_mode & 0o777 == 0o600


def test_a_directory_is_held_once_and_can_be_held_again(tmp_path: Path) -> None:
    with (
        lock_directory(tmp_path),
        pytest.raises(SystemRefusedError, match="another collector uses it"),
        lock_directory(tmp_path),
    ):
        pass
    with lock_directory(tmp_path):
        pass


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemRefusedError, match="file: cannot be used"), lock_directory(tmp_path / "file"):
        pass


def test_states_differ_in_their_secrets(tmp_path: Path) -> None:
    one, other = load_state(tmp_path), load_state(tmp_path)
    assert one.cookie_key != other.cookie_key
    assert replace(one, cookie_key="", seed=0) == replace(other, cookie_key="", seed=0)
