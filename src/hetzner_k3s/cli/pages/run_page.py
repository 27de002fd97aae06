"""The picture of a run: a lane a server, a bar a step, and in words where the time went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Final

from hetzner_k3s.cli.history.critical_path import Phase, Segment, critical_path, phase_of
from hetzner_k3s.cli.history.runs import CALLS, Call, Run, StepRun
from hetzner_k3s.cli.history.story import counted, lasting, segment_words, step_words, where_the_time_went
from hetzner_k3s.cli.pages.page import render
from hetzner_k3s.cli.render.history import when
from hetzner_k3s.cli.render.names import short
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.steps.words import verb_of

_ROW_REM: Final = 1.8
_OPEN_LANES: Final = 30
"""Lanes that are shown at once; of a thousand servers the others wait in a fold."""
_SLOWEST: Final = 40
_TICKS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
_TICKS_MOST: Final = 8
_LAST_TICK: Final = 0.94
_LOOKS: Final = frozenset({Phase.LOOK, Phase.LOCK, Phase.DECIDE, Phase.END})
_NARROW: Final = 0.035
"""The part of the run's time below which a bar has no room for a word."""
_CHAIN: Final = "what the run waited for"
_CLUSTER: Final = "the cluster"
_TONES: Final = {ExitCode.CONVERGED: "good", ExitCode.PENDING: "warn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A step, or a stretch without one, in the picture; `row` is where it lies beside others of its time."""

    number: int
    words: str
    kind: str
    outcome: str
    start: float
    end: float
    details: tuple[str, ...]
    critical: bool = False
    narrow: bool = False
    row: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """All bars of a server."""

    number: int
    name: str
    bars: tuple[Bar, ...]


def run_page(run: Run) -> str:
    """Return the page of a run."""
    path = critical_path(run)
    lanes = _lanes(run, path)
    ticks = _ticks(run.seconds)
    critical = {id(segment.step) for segment in path}
    return render(
        "run.html",
        _rules(run, lanes, ticks),
        {
            "run": run,
            "version": version("hetzner-k3s"),
            "when": when(run),
            "took": lasting(run.seconds),
            "tone": _TONES.get(ExitCode(run.code), "bad") if run.code in set(ExitCode) else "warn",
            "calls": [(CALLS[kind], sum(call.kind == kind for call in run.calls)) for kind in ("api", "ssh", "kube")],
            "sentences": list(where_the_time_went(run, path)),
            "legend": _legend(run, path),
            "ticks": [{"number": number, "label": _clock(at)} for number, at in enumerate(ticks)],
            "lanes": lanes[:_OPEN_LANES],
            "more": lanes[_OPEN_LANES:],
            "chain": [_chain_row(segment) for segment in path],
            "rows": [_step_row(step, id(step) in critical) for step in run.steps],
            "slowest": [_call_row(call) for call in sorted(run.calls, key=lambda one: -one.seconds)[:_SLOWEST]],
        },
    )


def _kind(phase: Phase) -> str:
    """Return the class that gives a phase its colour."""
    return phase.value.split()[0]


def _legend(run: Run, path: Sequence[Segment]) -> list[tuple[str, str]]:
    """Return the colours that are seen; all looks of the run itself have one."""
    seen = {*(segment.phase for segment in path), *map(phase_of, run.steps)}
    looks = ", ".join(phase.value for phase in Phase if phase in seen & _LOOKS)
    others = [(_kind(phase), phase.value) for phase in Phase if phase in seen - _LOOKS]
    return [*([("looking", looks)] if looks else []), *others]


def _lanes(run: Run, path: Sequence[Segment]) -> list[Lane]:
    """Return the chain, what is the cluster's, then a lane a server: those of the chain first."""
    servers = {call.server for call in run.calls if call.server}
    servers |= {step.target for step in run.steps if phase_of(step) is Phase.SERVERS}
    critical = {id(segment.step) for segment in path}
    grouped: dict[str, list[StepRun]] = {}
    for step in run.steps:
        grouped.setdefault(step.target if step.target in servers else _CLUSTER, []).append(step)
    on_path = {segment.step.target for segment in path if segment.step is not None}
    names = sorted(grouped, key=lambda name: (name != _CLUSTER, name not in on_path, name))
    numbers = iter(range(len(run.steps) + len(path)))
    lanes = [Lane(number=0, name=_CHAIN, bars=tuple(_segment_bar(next(numbers), one, run) for one in path))]
    for number, name in enumerate(names, start=1):
        shown = "" if name == _CLUSTER else name
        bars = [_step_bar(next(numbers), step, run, shown, id(step) in critical) for step in grouped[name]]
        title = name if name == _CLUSTER else short(name, run.cluster)
        lanes.append(Lane(number=number, name=title, bars=tuple(_in_rows(bars))))
    return lanes


def _in_rows(bars: Iterable[Bar]) -> Iterator[Bar]:
    """Put each bar into the first row where the one before it has ended."""
    ends: list[float] = []
    for bar in sorted(bars, key=lambda one: (one.start, one.end)):
        row = next((number for number, end in enumerate(ends) if end <= bar.start), len(ends))
        ends[row:] = [bar.end, *ends[row + 1 :]]
        yield replace(bar, row=row)


def _is_narrow(start: float, end: float, run: Run) -> bool:
    return end - start < _NARROW * run.seconds


def _segment_bar(number: int, segment: Segment, run: Run) -> Bar:
    step = segment.step
    details = _details(step, run) if step is not None else _times(segment.start, segment.end)
    return Bar(
        number=number,
        words=segment_words(segment),
        kind=_kind(segment.phase),
        outcome=step.outcome if step is not None else "done",
        start=segment.start,
        end=segment.end,
        details=details,
        narrow=_is_narrow(segment.start, segment.end, run),
    )


def _step_bar(number: int, step: StepRun, run: Run, lane: str, critical: bool) -> Bar:
    """Return a step's bar; the name of the lane is not said again on it."""
    return Bar(
        number=number,
        words=verb_of(step.name) if step.target == lane else step_words(step),
        kind=_kind(phase_of(step)),
        outcome=step.outcome,
        start=step.started,
        end=step.ended,
        details=_details(step, run),
        critical=critical,
        narrow=_is_narrow(step.started, step.ended, run),
    )


def _times(start: float, end: float) -> tuple[str, ...]:
    return (f"{lasting(end - start)}, from {lasting(start)} to {lasting(end)}",)


def _details(step: StepRun, run: Run) -> tuple[str, ...]:
    said = [*_times(step.started, step.ended), f"on {step.target}: {step.outcome}"]
    if step.because:
        said.append(f"because {step.because}")
    if step.message:
        said.append(step.message)
    calls = [call for call in run.calls if call.server == step.target and step.started <= call.ended <= step.ended]
    if calls:
        longest = max(calls, key=lambda call: call.seconds)
        said.append(
            f"{counted(len(calls), 'call')} to it meanwhile, the longest {longest.name} ({lasting(longest.seconds)})"
        )
    return tuple(said)


def _ticks(seconds: float) -> list[float]:
    """Return the moments that the axis names, none so near its end that its label has no room."""
    apart = next((one for one in _TICKS if seconds / one <= _TICKS_MOST), _TICKS[-1])
    return [float(number * apart) for number in range(int(_LAST_TICK * seconds / apart) + 1)]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"


def _rules(run: Run, lanes: Sequence[Lane], ticks: Sequence[float]) -> Iterator[str]:
    """Return where everything lies: the policy of the page forbids saying it beside the elements."""
    whole = max(run.seconds, 0.001)
    for number, at in enumerate(ticks):
        yield f"#t{number}{{left:{100 * at / whole:.3f}%}}"
    for lane in lanes:
        rows = max((bar.row for bar in lane.bars), default=0) + 1
        if rows > 1:
            yield f"#l{lane.number}{{height:{rows * _ROW_REM:.1f}rem}}"
        for bar in lane.bars:
            place = f"left:{100 * bar.start / whole:.3f}%;width:{100 * (bar.end - bar.start) / whole:.3f}%"
            yield f"#b{bar.number}{{{place}" + (f";top:{bar.row * _ROW_REM:.1f}rem}}" if bar.row else "}")


def _chain_row(segment: Segment) -> dict[str, str]:
    return {"words": segment_words(segment), "took": lasting(segment.seconds), "start": lasting(segment.start)}


def _step_row(step: StepRun, critical: bool) -> dict[str, object]:
    return {
        "words": step_words(step),
        "start": lasting(step.started),
        "took": lasting(step.seconds),
        "ended": f"{step.outcome}: {step.message}" if step.message else step.outcome,
        "tone": "" if step.outcome == "done" else "bad",
        "because": step.because,
        "critical": critical,
    }


def _call_row(call: Call) -> dict[str, str]:
    where = f" on {call.server}" if call.server else ""
    return {
        "words": f"{CALLS[call.kind]}: {call.name}{where}",
        "ended": lasting(call.ended),
        "took": lasting(call.seconds),
        "outcome": call.outcome,
    }
