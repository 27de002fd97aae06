"""The schedules that k3s takes: the grammar of github.com/robfig/cron v3, which is narrower than crontab(5).

k3s drops the error about a schedule that it cannot read and makes no snapshots at all
(docs/facts/k3s.md#snapshot-schedule).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_WORDS: Final = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY: Final = "@every "
_DURATION: Final = re.compile(r"[-+]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+")
_ZONE: Final = re.compile(r"(CRON_)?TZ=[A-Za-z0-9_+/-]+")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int | None:
        """Read a number or a name of the field; None where it is neither, or out of range."""
        if text.lower() in self.words:
            return self.words.index(text.lower()) + self.least
        known = text.isascii() and text.isdigit() and self.least <= int(text[:9]) <= self.most
        return int(text) if known else None


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 6, _DAYS),
)


def problem(schedule: str) -> str | None:
    """Return what is wrong with a schedule, in words; None where k3s understands it."""
    zone, _, rest = schedule.partition(" ")
    if zone.startswith(("TZ=", "CRON_TZ=")):
        if not _ZONE.fullmatch(zone):
            return f"{zone[:40]!r} names no time zone"
        schedule = rest.strip()
    if schedule.startswith("@"):
        return _word_problem(schedule)
    parts = schedule.split()
    if len(parts) != len(_FIELDS):
        return "expected five fields (minute hour day month weekday) or a word such as @hourly"
    return next((why for field, part in zip(_FIELDS, parts, strict=True) if (why := _field_problem(field, part))), None)


def _word_problem(word: str) -> str | None:
    if word.startswith(_EVERY):
        given = word.removeprefix(_EVERY)
        return None if _DURATION.fullmatch(given) else f"{given[:40]!r} is no duration: expected one such as 6h or 90m"
    return None if word in _WORDS else f"{word[:40]!r} is no word of cron: one of {', '.join(_WORDS)}, @every DURATION"


def _field_problem(field: _Field, text: str) -> str | None:
    return next((why for part in text.split(",") if (why := _range_problem(field, part))), None)


def _range_problem(field: _Field, text: str) -> str | None:
    """Check `*`, `?`, `N`, `N-M`, each with `/STEP`."""
    span, slash, step = text.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step[:9]) > 0):
        return f"the {field.name} {text[:40]!r} has no step: expected a number above 0 after the slash"
    if span in ("*", "?"):
        return None
    first, dash, last = span.partition("-")
    low, high = field.number(first), field.number(last if dash else first)
    if low is None or high is None:
        return f"the {field.name} {text[:40]!r} is not between {field.least} and {field.most}"
    return f"the {field.name} {text[:40]!r} ends before it begins" if high < low else None
