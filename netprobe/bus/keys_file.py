"""The keys file as the bus needs it: public keys of agents and operators, each checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from netprobe.bus.keys import is_public_user
from netprobe.errors import InputError
from netprobe.model.names import AgentId
from netprobe.wire.keys import read_keys_document


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys: of agents, and of people and programs that may ask."""

    agents: Mapping[AgentId, str]
    operators: tuple[str, ...]


def read_keys(path: Path | None) -> Keys:
    """Read the keys file, if there is one; every mistake is one :class:`InputError` with its place."""
    if path is None:
        return Keys({}, ())
    document = read_keys_document(path)
    agents: dict[AgentId, str] = {}
    holders: dict[str, str] = {}
    for name, public in document.agents.items():
        try:
            agents[AgentId.parse(name)] = public
        except InputError as error:
            raise InputError(f"agents: {error.what}", where=str(path)) from error
        _expect_public(public, f"agents.{name}", holders, path)
    for index, public in enumerate(document.operators):
        _expect_public(public, f"operators[{index}]", holders, path)
    return Keys(agents, document.operators)


def _expect_public(public: str, field: str, holders: dict[str, str], path: Path) -> None:
    if not is_public_user(public):
        raise InputError(f"{field}: is not a user's public key (U…)", where=str(path))
    holder = holders.setdefault(public, field)
    if holder != field:
        raise InputError(f"{field}: has the same key as {holder}", where=str(path))
