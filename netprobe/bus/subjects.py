"""Where things are said: subjects, streams and buckets, all with the version prefix.

Rule: a name becomes one token and the token becomes the name again. Letters, digits and ``-`` stay; every
other byte of its UTF-8 becomes ``_`` and two hex digits: dots and wildcards cannot reach the server.
"""

from __future__ import annotations

import re

from netprobe.errors import InputError, MisuseError, RemoteFormatError
from netprobe.model.names import AgentId

PREFIX = "np1"
WINDOWS_STREAM = f"{PREFIX}_windows"
PLANS_BUCKET = f"{PREFIX}_plans"
AGENTS_BUCKET = f"{PREFIX}_agents"
EVERY_QUERY = f"{PREFIX}.query.>"
EVERY_PROBE = f"{PREFIX}.probe.>"

BEAT = f"{PREFIX}.beat"
"""What the collector says to itself through the stream of reports; no other account may."""

_EACH = "*.*.*"
"""The key of any agent (:func:`key_of`)."""
EACH_WINDOW = f"{PREFIX}.windows.{_EACH}"
EACH_PROBE = f"{PREFIX}.probe.{_EACH}"
EACH_QUERY = f"{PREFIX}.query.*"
EACH_PLAN = f"$KV.{PLANS_BUCKET}.{_EACH}"
EACH_PLAN_REQUEST = f"{PREFIX}.plan.{_EACH}"
"""Where the collector hears what agents ask on :data:`EACH_PLAN_GET`."""
EACH_PLAN_GET = f"$JS.API.DIRECT.GET.KV_{PLANS_BUCKET}.{EACH_PLAN}"
EACH_PRESENCE = f"$KV.{AGENTS_BUCKET}.{_EACH}"

_PLAIN = re.compile(rb"[A-Za-z0-9-]")
_TOKEN = re.compile(r"(?:[A-Za-z0-9-]|_[0-9a-f]{2})+")


def token_of(name: str) -> str:
    """The subject token of a name.

    >>> token_of("node-1.example")
    'node-1_2eexample'
    """
    if not name:
        raise MisuseError("a subject has no place for an empty name")
    data = name.encode()
    return "".join(chr(byte) if _PLAIN.match(bytes([byte])) else f"_{byte:02x}" for byte in data)


def name_of(token: str) -> str:
    """The name behind a token; :class:`RemoteFormatError` where none has that token.

    >>> name_of("node-1_2eexample")
    'node-1.example'
    """
    if not _TOKEN.fullmatch(token):
        raise RemoteFormatError(f"subject: {token!r} is not a token")
    raw = re.sub(r"_([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), token).encode("latin-1")
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise RemoteFormatError(f"subject: {token!r} is not UTF-8") from error
    if token_of(name) != token:
        raise RemoteFormatError(f"subject: {token!r} is not canonical")
    return name


def key_of(agent: AgentId) -> str:
    """The three tokens that name an agent in subjects and as a bucket's key."""
    return f"{token_of(agent.cluster)}.{token_of(agent.node)}.{agent.plane}"


def windows_subject(agent: AgentId) -> str:
    """Where an agent publishes its reports."""
    return f"{PREFIX}.windows.{key_of(agent)}"


def probe_subject(agent: AgentId) -> str:
    """Where an agent is asked on-demand questions."""
    return f"{PREFIX}.probe.{key_of(agent)}"


def query_subject(verb: str) -> str:
    """Where the collector is asked."""
    return f"{PREFIX}.query.{token_of(verb)}"


def plan_subject(agent: AgentId) -> str:
    """The subject below the key of an agent's plan."""
    return f"$KV.{PLANS_BUCKET}.{key_of(agent)}"


def plan_get_subject(agent: AgentId) -> str:
    """Where the newest plan of one agent is asked for; the subject itself pins the key.

    It is JetStream's, whom agents asked directly at first; now the server turns it into
    :data:`EACH_PLAN_REQUEST`.
    """
    return f"$JS.API.DIRECT.GET.{stream_of(PLANS_BUCKET)}.{plan_subject(agent)}"


def presence_subject(agent: AgentId) -> str:
    """The subject below the key of an agent's presence."""
    return f"$KV.{AGENTS_BUCKET}.{key_of(agent)}"


def inbox_of(public_key: str) -> str:
    """The prefix below which the holder of a key hears its replies."""
    return f"{PREFIX}.inbox.{public_key}"


def inbox_of_agent(agent: AgentId) -> str:
    """The prefix below which an agent that shows a token hears its replies."""
    return f"{PREFIX}.inbox.{key_of(agent)}"


def stream_of(bucket: str) -> str:
    """The stream that keeps a bucket."""
    return f"KV_{bucket}"


def agent_of(subject: str) -> AgentId:
    """The agent that a windows, probe, plan or presence subject names."""
    tokens = subject.split(".")
    if len(tokens) != 5:
        raise RemoteFormatError(f"subject: {subject!r} names no agent")
    cluster, node, plane = tokens[2:]
    try:
        return AgentId.parse(f"{name_of(cluster)}/{name_of(node)}/{plane}")
    except InputError as error:
        raise RemoteFormatError(f"subject: {error.what}") from error
