"""Values as plain data, so that a test can hold every field of them at once."""

from __future__ import annotations

import dataclasses
from enum import Enum


def plain(value: object) -> object:
    """Return dataclasses as dictionaries of what they hold, members of an enum by name, tuples and sets as lists."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return [plain(each) for each in value] if isinstance(value, tuple) else value
