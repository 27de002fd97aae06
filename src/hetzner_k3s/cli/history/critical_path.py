"""Where the time of a run went: the chain of what waited for what, from its end back to its beginning.

The loop starts a step right after the ends of others and a look at what they changed, and the transcript names these
ends. So whatever is not on the chain could have been slower without making the run longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hetzner_k3s.cli.history.runs import Run, StepRun


class Phase(Enum):
    """What a run was about; the times on its critical path add up to the whole run."""

    LOOK = "looking"
    LOCK = "lock"
    INFRASTRUCTURE = "infrastructure"
    SERVERS = "servers"
    HOSTS = "hosts"
    CONTROL_PLANE = "control plane"
    WORKERS = "workers"
    ADDONS = "add-ons"
    LOCAL = "this machine"
    DECIDE = "between steps"
    WAIT = "waiting"
    END = "ending"


_OF_STEP: Final[Mapping[str, Phase]] = {
    **dict.fromkeys(("CreateServer", "DeleteServer", "PowerOn"), Phase.SERVERS),
    **dict.fromkeys(("SecureHost", "InstallK3s"), Phase.HOSTS),
}
_OF_SCOPE: Final[Mapping[str, Phase]] = {
    "infrastructure": Phase.INFRASTRUCTURE,
    "control plane": Phase.CONTROL_PLANE,
    "worker": Phase.WORKERS,
    "add-ons": Phase.ADDONS,
    "this machine": Phase.LOCAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of the chain; `step` is None where the run looked, decided or waited (then `what` says for what)."""

    phase: Phase
    start: float
    end: float
    what: str = ""
    step: StepRun | None = None

    @property
    def seconds(self) -> float:
        """Return how long it took."""
        return self.end - self.start


def phase_of(step: StepRun) -> Phase:
    """Return what a step belongs to."""
    return _OF_STEP.get(step.name) or _OF_SCOPE.get(step.scope, Phase.INFRASTRUCTURE)


def critical_path(run: Run) -> tuple[Segment, ...]:
    """Return the chain from the run's beginning to its end, without a gap; none where its steps are not known."""
    if run.path is None:
        return ()
    segments = list(_backwards(run))
    return tuple(segment for segment in reversed(segments) if segment.seconds > 0)


def seconds_by_phase(path: Sequence[Segment]) -> dict[Phase, float]:
    """Return how the chain's time is spread, in the order of `Phase`."""
    told = dict.fromkeys(Phase, 0.0)
    for segment in path:
        told[segment.phase] += segment.seconds
    return {phase: seconds for phase, seconds in told.items() if seconds > 0}


def _backwards(run: Run) -> Iterator[Segment]:
    step = max(run.steps, key=lambda one: one.ended, default=None)
    until = run.seconds
    yield _between(run, step.ended if step else 0.0, until, Phase.END if step else Phase.LOOK)
    while step is not None:
        yield Segment(phase=phase_of(step), start=step.started, end=step.ended, step=step)
        before = _predecessor(run, step)
        if before is None:
            yield from _beginning(run, step.started)
        else:
            yield _between(run, before.ended, step.started, Phase.DECIDE)
        step = before


def _predecessor(run: Run, step: StepRun) -> StepRun | None:
    """Return the step whose end led to this one: one on the same target before others, the latest of these."""
    ended = [one for one in run.steps if one.ended <= step.started and one is not step and one.started < step.started]
    led = [one for one in ended if one.pair in step.after] or ended
    return max(led, key=lambda one: (one.target == step.target and one.pair in step.after, one.ended), default=None)


def _beginning(run: Run, first: float) -> Iterator[Segment]:
    locked = run.locked if run.locked is not None and run.locked <= first else first
    yield Segment(phase=Phase.LOCK, start=locked, end=first)
    yield Segment(phase=Phase.LOOK, start=0.0, end=locked)


def _between(run: Run, start: float, end: float, otherwise: Phase) -> Segment:
    """Return what a stretch without a step was for: the first thing that was waited for in it, if there was one."""
    decided = [moment for moment in run.decisions if start <= moment.at < end]
    waits = [what for moment in decided for what in moment.waits]
    if waits:
        return Segment(phase=Phase.WAIT, start=start, end=end, what=waits[-1])
    return Segment(phase=otherwise, start=start, end=end)
