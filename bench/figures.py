"""One measured run, and what several of them are in sum."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One run.

    Args:
        wall: seconds it took (virtual ones in the simulation).
        critical: seconds of its critical path; 0 where nothing is waited for but ourselves.
        requests: to the Hetzner API.
        cpu: processor seconds; in the simulation those of the emulated cloud and hosts are in them.
        peak_mib: resident memory of its process at most.
        busy: cores that were busy meanwhile, all programs of the machine together; None where that is no matter.
    """

    wall: float
    critical: float
    requests: int
    cpu: float
    peak_mib: float = 0.0
    busy: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return wall / critical path."""
        return self.wall / self.critical if self.critical else None

    def dump(self) -> str:
        """Return it as one line for another process."""
        return json.dumps(asdict(self))


def load(line: str) -> Figure:
    """Read what `Figure.dump` wrote."""
    return Figure(**json.loads(line))


HEAD = (
    "| run | runs | wall ÷ critical path: median, worst | wall, s | requests | a node | CPU, s | peak, MiB |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def row(name: str, nodes: int, figures: Sequence[Figure]) -> str:
    """Return the line of a table: medians of several runs, and the worst ratio."""
    ratios = [figure.ratio for figure in figures if figure.ratio is not None]
    ratio = f"{statistics.median(ratios):.2f}, {max(ratios):.2f}" if ratios else "–"
    requests = _median(figures, lambda f: f.requests)
    cells = (
        name,
        str(len(figures)),
        ratio,
        f"{_median(figures, lambda f: f.wall):.1f}",
        f"{requests:.0f}",
        f"{requests / nodes:.2f}",
        f"{_median(figures, lambda f: f.cpu):.2f}",
        f"{_median(figures, lambda f: f.peak_mib):.0f}",
    )
    return f"| {' | '.join(cells)} |\n"


def busy_cores(figures: Iterable[Figure]) -> str:
    """Return how busy the machine was while they were measured, the lightest and the heaviest run."""
    seen = sorted(figure.busy for figure in figures if figure.busy is not None)
    return f"{seen[0]:.1f} to {seen[-1]:.1f}" if seen else "?"


def _median(figures: Sequence[Figure], what: Callable[[Figure], float]) -> float:
    return statistics.median(what(figure) for figure in figures)
