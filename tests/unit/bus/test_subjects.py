"""Subjects: a name becomes a token and the token the name, and no name escapes its token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.bus.subjects import agent_of, key_of, name_of, plan_subject, token_of, windows_subject
from netprobe.errors import MisuseError, RemoteFormatError
from netprobe.model.names import AgentId
from tests.unit.wire.messages import agents


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_token_gives_its_name_back(name: str) -> None:
    token = token_of(name)
    assert name_of(token) == name
    assert not set(token) & set(".*> \t\r\n$")


@given(agents)
def test_a_subject_gives_its_agent_back(agent: AgentId) -> None:
    assert agent_of(windows_subject(agent)) == agent
    assert agent_of(plan_subject(agent)) == agent
    assert key_of(agent).count(".") == 2


@pytest.mark.parametrize("token", ["", "a.b", "a_", "a_zz", "a_2E", "_61", "_ff", "a*", ">"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(RemoteFormatError):
        name_of(token)


@pytest.mark.parametrize(
    "subject", ["np1.windows", "np1.windows.a.b.c", "np1.windows.a.b.pod.x", "np1.windows.*.b.pod"]
)
def test_a_subject_that_names_no_agent_is_refused(subject: str) -> None:
    with pytest.raises(RemoteFormatError):
        agent_of(subject)


def test_an_empty_name_is_our_mistake() -> None:
    with pytest.raises(MisuseError):
        token_of("")
