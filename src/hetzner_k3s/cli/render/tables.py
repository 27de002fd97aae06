"""What several tables are made of: columns that fit, ages and sizes as people say them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


_GAP = "  "


def table(rows: Sequence[Sequence[str]], width: int | None = None, spare: Sequence[str] = ()) -> Iterator[str]:
    """Render rows, the headings first, in columns as wide as they must be.

    Args:
        rows: the cells, as many in each.
        width: characters that a terminal shows side by side; None where lines need not fit.
        spare: headings of columns that are left out, one after another, until the others fit.
    """
    columns = {heading: (heading, *cells) for heading, *cells in zip(*rows, strict=True)}
    widths = {heading: max(map(len, cells)) for heading, cells in columns.items()}
    for heading in spare:
        if width is not None and sum(widths.values()) + len(_GAP) * (len(widths) - 1) > width:
            del columns[heading], widths[heading]
    for row in zip(*columns.values(), strict=True):
        yield _GAP.join(map(str.ljust, row, widths.values())).rstrip()


def age(seconds: float) -> str:
    """Write an age as people say it."""
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:02.0f} min"
    return f"{seconds // _DAY:.0f} days"


def duration(seconds: float) -> str:
    """Write how long something took, or takes, as people say it."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min" + (f" {whole % _MINUTE} s" if whole % _MINUTE else "")
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
