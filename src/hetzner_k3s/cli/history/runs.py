"""Reads a transcript: the run, its steps, its calls. A line that cannot be read is skipped, as a kill leaves one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, Final

from hetzner_k3s.adapters.system.transcripts import run_of
from hetzner_k3s.model.kubernetes.run_history import outcome_of

CALLS: Final = {"api": "Hetzner API", "ssh": "SSH", "kube": "Kubernetes API", "s3": "S3"}
UNFINISHED: Final = "unfinished"
_NO_END: Final = "no end: it runs, or was killed"

Pair = tuple[str, str]
"""A step by its name and target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One start of a step; `after` are the steps whose end led to it, seconds count from the run's beginning."""

    name: str
    target: str
    scope: str
    because: str
    started: float
    ended: float
    outcome: str
    message: str = ""
    after: tuple[Pair, ...] = ()

    @property
    def pair(self) -> Pair:
        """Return what it is known by."""
        return (self.name, self.target)

    @property
    def seconds(self) -> float:
        """Return how long it took, up to the run's end where it has none."""
        return max(0.0, self.ended - self.started)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that left this machine; `name` is what was asked, `server` the host it went to, if it was one."""

    kind: str
    name: str
    server: str
    ended: float
    seconds: float
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A decision, with what is waited for in its view."""

    at: float
    waits: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Run:
    """A run as its transcript tells it; `began` in UNIX seconds, `code` None where no end was written.

    One without a `path` was recorded on another machine: how it ended is known, and none of its steps.
    """

    id: str
    path: Path | None
    cluster: str = ""
    command: str = ""
    who: str = ""
    began: float = 0.0
    seconds: float = 0.0
    code: int | None = None
    simulated: bool = False
    error: str = ""
    locked: float | None = None
    steps: list[StepRun] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    decisions: list[Moment] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """Return how it ended, in words."""
        return _NO_END if self.code is None else outcome_of(self.code)

    @property
    def refused(self) -> tuple[str, ...]:
        """Return the codes of the refusals that the last decision held."""
        return self.decisions[-1].refused if self.decisions else ()


def read_run(path: Path) -> Run:
    """Read the transcript of a run."""
    reader = _Reader(Run(id=run_of(path), path=path))
    for event in _events(path):
        reader.take(event)
    return reader.done()


def _events(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


class _Reader:
    """Puts a run together, event by event."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._open: dict[Pair, StepRun] = {}
        self._scopes: dict[Pair, str] = {}
        self._after: tuple[Pair, ...] = ()

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event in; what is not of its kind is left out."""
        run, at = self._run, _number(event, "at")
        run.seconds = max(run.seconds, at)
        match event.get("event"):
            case "run":
                run.cluster, run.command, run.who = (_text(event, key) for key in ("cluster", "command", "who"))
                run.began, run.simulated = _number(event, "began"), event.get("simulated") is True
            case "phase":
                if event.get("phase") == "lock" and run.locked is None:
                    run.locked = at
            case "foreseen" | "decided":
                self._decision(event, at)
            case "started":
                self._started(event, at)
            case "finished" | "failed":
                self._ended(event, at)
            case "error":
                run.error = f"{_text(event, 'error')}: {_text(event, 'message')}".rstrip(": ")
            case "end":
                run.code = int(_number(event, "code"))
            case kind if kind in CALLS:
                run.calls.append(_call(kind, event, at))

    def done(self) -> Run:
        """Return the run; a step without an end goes on to the end of the run."""
        run = self._run
        run.steps += [replace(step, ended=run.seconds) for step in self._open.values()]
        run.steps.sort(key=lambda step: (step.started, step.ended))
        return run

    def _decision(self, event: Mapping[str, Any], at: float) -> None:
        for planned in _listed(event, "planned"):
            if isinstance(planned, list) and len(planned) == 3:
                self._scopes[str(planned[0]), str(planned[1])] = str(planned[2])
        waits = tuple(str(wait[0]) for wait in _listed(event, "waits") if isinstance(wait, list) and wait)
        self._run.decisions.append(Moment(at=at, waits=waits, refused=tuple(map(str, _listed(event, "refused")))))
        ended = (pair for pair in _listed(event, "after") if isinstance(pair, list) and len(pair) == 2)
        self._after = tuple((str(name), str(target)) for name, target in ended)

    def _started(self, event: Mapping[str, Any], at: float) -> None:
        pair = (_text(event, "step"), _text(event, "target"))
        self._open[pair] = StepRun(
            name=pair[0],
            target=pair[1],
            scope=self._scopes.get(pair, ""),
            because=_text(event, "because"),
            started=at,
            ended=at,
            outcome=UNFINISHED,
            after=self._after,
        )

    def _ended(self, event: Mapping[str, Any], at: float) -> None:
        step = self._open.pop((_text(event, "step"), _text(event, "target")), None)
        if step is not None:
            outcome = "done" if event["event"] == "finished" else "failed"
            self._run.steps.append(replace(step, ended=at, outcome=outcome, message=_text(event, "message")))


def _call(kind: str, event: Mapping[str, Any], at: float) -> Call:
    api = kind == "api"
    name = f"{_text(event, 'method')} {_text(event, 'path')}" if api else _text(event, "call")
    subject = _text(event, "subject")
    answered = _text(event, "error") or str(int(_number(event, "status")))
    return Call(
        kind=kind,
        name=f"{name} {subject}".rstrip(),
        server=_text(event, "server"),
        ended=at,
        seconds=_number(event, "seconds"),
        outcome=answered if api else _text(event, "outcome"),
    )


def _text(event: Mapping[str, Any], key: str) -> str:
    value = event.get(key)
    return value if isinstance(value, str) else ""


def _number(event: Mapping[str, Any], key: str) -> float:
    value = event.get(key)
    return float(value) if isinstance(value, int | float) and isfinite(value) else 0.0


def _listed(event: Mapping[str, Any], key: str) -> list[Any]:
    value = event.get(key)
    return value if isinstance(value, list) else []
