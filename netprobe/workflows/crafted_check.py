"""A crafted question (``netprobe.craft``): made at the asker's side, sent by an agent, judged here again.

Rule: what the inventory does not name, or its ``allowed_targets`` do not let through, cannot be asked; the
agent checks its own allow-list besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from netprobe.craft.kind import CraftKind, CraftRequest, CraftVerdict, judge, make_probe
from netprobe.errors import InputError
from netprobe.model.check import Check, check_id
from netprobe.model.inventory import Inventory
from netprobe.wire.messages import CheckAnswer
from netprobe.workflows.check_target import CheckRequest, make_check

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class CraftedCheck:
    """What the agent is asked, and what is needed to read its answer."""

    kind: CraftKind
    request: CraftRequest
    check: Check

    def judge(self, answer: CheckAnswer) -> CraftVerdict:
        """What the answer says; :class:`netprobe.errors.RemoteFormatError` where it cannot be read."""
        values = answer.details[0].values if answer.details else ()
        return judge(self.kind, self.request, answer.outcomes[0], values)


def make_crafted(
    inventory: Inventory, source: str, target: str, wanted: CheckRequest, kind: CraftKind, *, token: bytes
) -> CraftedCheck:
    """The question; *token* is 32 random bytes.

    :class:`InputError` where a name, an option or the size cannot be meant.
    """
    if wanted.size or wanted.name or wanted.count not in {None, 1}:
        field = "size" if wanted.size else "name" if wanted.name else "count"
        raise InputError(f"{kind.name} has none", where=field)
    options: Mapping[str, str] = dict(wanted.options)
    kind.validate(options)
    timeout_s = wanted.timeout_s or TIMEOUT_S
    plain = make_check(inventory, source, target, replace(wanted, kind="icmp", port=0, options=()))
    address = plain.target.address
    request = CraftRequest(
        find_own_address(inventory, plain), address, wanted.port or kind.port, token, options
    )
    probe = make_probe(kind, request, timeout_ns=round(timeout_s * 1e9))
    number = check_id(plain.source, plain.target, probe)
    return CraftedCheck(kind, request, replace(plain, id=number, probe=probe))


def find_own_address(inventory: Inventory, check: Check) -> str:
    """The address from which the agent asks, of the target's family, as the inventory names it."""
    node = inventory.find_node(check.source.node_id)
    is_v6 = ":" in check.target.address
    own = node.addresses(check.source.plane) if node is not None else ()
    fitting = [address for address in own if (":" in address) == is_v6]
    if not fitting:
        raise InputError(f"{check.source} has no IPv{6 if is_v6 else 4} address", where="SOURCE")
    return fitting[0]
