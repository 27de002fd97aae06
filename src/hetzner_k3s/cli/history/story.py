"""Tells in words where the time of a run went, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hetzner_k3s.cli.history.critical_path import Phase, Segment, seconds_by_phase
from hetzner_k3s.cli.history.runs import Run, StepRun
from hetzner_k3s.model.steps.words import verb_of
from hetzner_k3s.model.text.wording import listed

_LARGEST = 3
_NAMED = 5
_WORDS = {
    Phase.LOOK: "looked at the cluster and planned",
    Phase.LOCK: "took the operator lock and looked again",
    Phase.DECIDE: "looked at what had changed",
    Phase.END: "looked at the result and gave the lock back",
}


def lasting(seconds: float) -> str:
    """Write how long something took as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def step_words(step: StepRun) -> str:
    """Return what a step did to its target."""
    return f"{verb_of(step.name)} {step.target}"


def segment_words(segment: Segment) -> str:
    """Return what a part of the critical path was."""
    if segment.step is not None:
        return step_words(segment.step)
    return f"waited for {segment.what}" if segment.phase is Phase.WAIT else _WORDS[segment.phase]


def where_the_time_went(run: Run, path: Sequence[Segment]) -> Iterator[str]:
    """Return sentences: how long it took, what that hung on, what ran beside it, what went wrong."""
    yield f"The run took {lasting(run.seconds)} and ended: {run.outcome}."
    if run.seconds > 0 and path:
        yield _largest(run, path)
        spread = seconds_by_phase(path)
        yield "By phase: " + ", ".join(f"{phase.value} {lasting(seconds)}" for phase, seconds in spread.items()) + "."
    yield from _beside(run, path)
    if failed := [step for step in run.steps if step.outcome == "failed"]:
        yield f"{counted(len(failed), 'start')} failed: {listed([step_words(step) for step in failed], _NAMED)}."
    if unfinished := [step for step in run.steps if step.outcome == "unfinished"]:
        named = listed([step_words(step) for step in unfinished], _NAMED)
        yield f"{counted(len(unfinished), 'step')} had no end when the run had one: {named}."
    if run.refused:
        yield f"Refused: {', '.join(run.refused)}; `hetzner-k3s explain {' '.join(run.refused)}` says what that means."
    if run.error:
        yield f"It ended with an error: {run.error}"


def _largest(run: Run, path: Sequence[Segment]) -> str:
    first = sorted(path, key=lambda segment: -segment.seconds)[:_LARGEST]
    parts = [f"{_share(one, run)} {segment_words(one)} ({lasting(one.seconds)})" for one in first]
    return f"Where it went: {'; '.join(parts)}."


def _share(segment: Segment, run: Run) -> str:
    return f"{segment.seconds / run.seconds:.0%}"


def _beside(run: Run, path: Sequence[Segment]) -> Iterator[str]:
    chain = [segment.step for segment in path if segment.step is not None]
    beside = [step for step in run.steps if all(step is not one for one in chain)]
    if chain:
        work = sum(step.seconds for step in beside)
        more = f"; the other {len(beside)} ran beside it, {lasting(work)} of work in all" if beside else ""
        yield f"It hung on a chain of {counted(len(chain), 'step')}, each of which waited for the one before{more}."


def counted(number: int, noun: str) -> str:
    """Return how many there are of something, as in "1 call", "2 calls"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
