"""What is wrong with a document that people wrote, and in which field."""

from __future__ import annotations

from dataclasses import dataclass

Step = str | int


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong, and the path of the field it is wrong in."""

    what: str
    path: tuple[Step, ...]
