"""Renders earlier runs: a table of them, one run step by step, and both as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from hetzner_k3s.cli.history.critical_path import Segment, critical_path, phase_of, seconds_by_phase
from hetzner_k3s.cli.history.runs import CALLS, Run, StepRun
from hetzner_k3s.cli.history.story import lasting, segment_words, step_words, where_the_time_went
from hetzner_k3s.cli.render.tables import table

_STEPS = ("AT", "TOOK", "", "STEP", "ENDED")
_MOST_OF_IT = 4


def run_list(runs: Sequence[Run]) -> Iterator[str]:
    """Render runs, the newest first, in two lines each; their numbers are those that `history` takes."""
    width = len(str(len(runs)))
    for number, run in enumerate(runs, start=1):
        cluster = f"{run.cluster} (simulation)" if run.simulated else run.cluster
        yield f"{number:>{width}}  {when(run)}  {run.command} of {cluster}: {run.outcome}, {lasting(run.seconds)}"
        yield f"{'':{width}}  " + ": ".join(filter(None, (f"{run.id} by {run.who}", _phases(run))))


def _phases(run: Run) -> str:
    spread = sorted(seconds_by_phase(critical_path(run)).items(), key=lambda item: -item[1])
    return ", ".join(f"{phase.value} {lasting(seconds)}" for phase, seconds in spread[:_MOST_OF_IT])


def when(run: Run) -> str:
    """Return when a run began, in this machine's time."""
    try:
        return f"{datetime.fromtimestamp(run.began).astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):  # a line that nobody of us wrote
        return "-"


def run_lines(run: Run) -> Iterator[str]:
    """Render one run: where the time went, the chain that decided it, every step, and how many calls there were."""
    path = critical_path(run)
    yield f"run {run.id}: {run.command} of {run.cluster} by {run.who}, {when(run)}"
    yield from where_the_time_went(run, path)
    if run.steps:
        yield ""
        on_path = {id(segment.step) for segment in path}
        yield from table([_STEPS, *(_step_row(step, id(step) in on_path) for step in run.steps)])
        yield "* the run waited for it"
    yield ""
    yield from call_lines(run)
    yield f"transcript: {run.path or f'on the machine of {run.who}, with all its steps'}"


def _step_row(step: StepRun, critical: bool) -> tuple[str, ...]:
    ended = f"{step.outcome}: {step.message}" if step.message else step.outcome
    return (f"{step.started:.1f} s", lasting(step.seconds), "*" if critical else "", step_words(step), ended)


def call_lines(run: Run) -> Iterator[str]:
    """Render how many calls of each kind left this machine, and how many did not end well."""
    for kind, words in CALLS.items():
        calls = [call for call in run.calls if call.kind == kind]
        failed = sum(not is_well(call.kind, call.outcome) for call in calls)
        if calls:
            count = f"{len(calls)} call{'' if len(calls) == 1 else 's'}"
            total = lasting(sum(call.seconds for call in calls))
            yield f"{words}: {count}, {total} of waiting" + (f", {failed} not answered well" if failed else "")


def is_well(kind: str, outcome: str) -> bool:
    """Check whether a call ended as it should."""
    return outcome.startswith(("2", "404")) if kind == "api" else outcome == "done"


def runs_document(runs: Sequence[Run]) -> list[dict[str, object]]:
    """Return runs as JSON rows."""
    return [_summary(run) for run in runs]


def run_document(run: Run) -> dict[str, object]:
    """Return one run as JSON data, with its steps and the chain that decided how long it took."""
    path = critical_path(run)
    on_path = {id(segment.step) for segment in path}
    calls = Counter((call.kind, is_well(call.kind, call.outcome)) for call in run.calls)
    return {
        **_summary(run),
        "steps": [_step_document(step, id(step) in on_path) for step in run.steps],
        "critical_path": [_segment_document(segment) for segment in path],
        "calls": {kind: {"well": calls[kind, True], "failed": calls[kind, False]} for kind in CALLS},
        "where_the_time_went": list(where_the_time_went(run, path)),
    }


def _summary(run: Run) -> dict[str, object]:
    spread = seconds_by_phase(critical_path(run))
    return {
        "run": run.id,
        "cluster": run.cluster,
        "simulated": run.simulated,
        "command": run.command,
        "who": run.who,
        "began": run.began,
        "seconds": round(run.seconds, 3),
        "exit_code": run.code,
        "outcome": run.outcome,
        "phases": {phase.value: round(seconds, 3) for phase, seconds in spread.items()},
        "refused": list(run.refused),
        "error": run.error,
        "transcript": run.path and str(run.path),
    }


def _step_document(step: StepRun, critical: bool) -> dict[str, object]:
    return {
        "step": step.name,
        "target": step.target,
        "phase": phase_of(step).value,
        "because": step.because,
        "started": step.started,
        "seconds": round(step.seconds, 3),
        "outcome": step.outcome,
        "message": step.message,
        "critical": critical,
    }


def _segment_document(segment: Segment) -> dict[str, object]:
    return {
        "what": segment_words(segment),
        "phase": segment.phase.value,
        "started": round(segment.start, 3),
        "seconds": round(segment.seconds, 3),
    }
