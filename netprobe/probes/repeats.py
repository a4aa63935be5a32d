"""What an on-demand question notes of each of its probes: its source port, and answers that came again.

Values of an observation: ``source-port 40001`` and ``answers 3`` (one answer, and two more of it).
"""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.probes.observation import Observation

_ANSWERS, _SOURCE_PORT = "answers", "source-port"


def note_repeat(seen: Observation) -> Observation:
    """*seen* after one more answer to the same probe.

    >>> from netprobe.model.outcome import Reached
    >>> note_repeat(note_repeat(Observation(Reached(1)))).values
    ('answers 3',)
    """
    others = tuple(value for value in seen.values if not value.startswith(f"{_ANSWERS} "))
    return seen._replace(values=(*others, f"{_ANSWERS} {count_answers(seen.values) + 1}"))


def count_answers(values: Iterable[str]) -> int:
    """How many answers came to a probe that was answered; 1 where its values say nothing."""
    return max(1, _read_number(values, _ANSWERS))


def write_source_port(port: int) -> str:
    """The value that names a probe's source port."""
    return f"{_SOURCE_PORT} {port}"


def read_source_port(values: Iterable[str]) -> int:
    """The probe's source port; 0 where its values do not name it."""
    return _read_number(values, _SOURCE_PORT)


def _read_number(values: Iterable[str], word: str) -> int:
    told = (value.partition(" ") for value in values)
    return next((int(text) for key, _, text in told if key == word and text.isdecimal()), 0)
