"""Access to the collector of a running lab."""

from __future__ import annotations

from netprobe.bus.keys import read_seed
from netprobe.bus.login import ServerTrust
from netprobe.bus.operator import Access
from netprobe.errors import InputError
from netprobe.lab.state_folder import DEFAULT_NAME, find_state


def find_access(name: str = DEFAULT_NAME) -> Access:
    """Return the address of the lab's bus from outside, and the operator's seed."""
    state = find_state(name)
    facts = state.read_facts()
    if facts is None or not state.is_answered():
        raise InputError(f"no lab named {name!r} is up; `netprobe lab up` starts one")
    url = f"tls://127.0.0.1:{facts.bus_port}"
    return Access(url, read_seed(state.operator_seed), ServerTrust(state.bus_ca))
