"""Takes notes of what a run does, and hands them to the transcript, and to a terminal that asked for more.

Every text is masked when it is written and not when it is noted: by then more secrets are known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hetzner_k3s.adapters.system.transcripts import TranscriptFile
from hetzner_k3s.cli.recording.digest import Digests
from hetzner_k3s.cli.recording.live import live_line
from hetzner_k3s.model.plan import Forecast, Intent, Plan, PlannedStep
from hetzner_k3s.model.secrets import masked
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.text.printable import excerpt

Event = dict[str, Any]
"""A line of the transcript: `at` (seconds since the run began), `event`, and what belongs to that kind."""

_ENDS: Final = frozenset({"finished", "failed"})
_LINES_AT_ONCE: Final = 200
_SECONDS_HELD: Final = 1.0
_LONGEST_TEXT: Final = 1000


class Recorder:
    """Notes of one run.

    Args:
        file: where they go.
        spec: the cluster's; the digest of the file is taken from it.
        now: monotonic seconds.
        verbosity: 1 shows decisions and steps on the terminal, 2 every call.
        say: writes a line of talk.
    """

    def __init__(
        self,
        file: TranscriptFile,
        spec: ClusterSpec,
        now: Callable[[], float],
        verbosity: int,
        say: Callable[[str], None],
    ) -> None:
        self._file, self._now, self._verbosity, self._say = file, now, verbosity, say
        self._digests = Digests(spec)
        self._began = self._flushed = now()
        self._held: list[Event] = []
        self._finished: list[tuple[str, str]] = []
        self._decided: object = None
        self._warned = False
        self._phase = ""

    @property
    def path(self) -> str | None:
        """Return where the transcript lies; None where it could not be written."""
        return str(self._file.path) if self._file.path is not None and not self._file.trouble else None

    def note(self, event: str, **fields: Any) -> None:
        """Take note of an event."""
        now = self._now()
        noted: Event = {"at": round(now - self._began, 3), "event": event, **fields}
        self._held.append(noted)
        if self._verbosity and (line := live_line(noted, self._verbosity)) is not None:
            self._say(line)
        if len(self._held) >= _LINES_AT_ONCE or now - self._flushed >= _SECONDS_HELD:
            self.flush()

    def call(self, event: str, began: float, **fields: Any) -> None:
        """Take note of a call that began at these monotonic seconds and has just ended."""
        self.note(event, seconds=round(self._now() - began, 3), **fields)

    def phase(self, name: str) -> None:
        """Take note of what the run is about from now on."""
        if name != self._phase:
            self._phase = name
            self.note("phase", phase=name)

    def journal(self, event: str, detail: Mapping[str, str]) -> None:
        """Take note of what the run journal remembers: steps, and the lock that is asked for."""
        if event == "run began":
            self.phase("lock")
        if event == "started":
            self.phase("work")
        if event in _ENDS:
            self._finished.append((detail["step"], detail["target"]))
        if event in {"started", *_ENDS}:
            self.note(event, **detail)
        else:
            self.note("journal", what=event, detail=dict(detail))

    def decided(self, state: ClusterState, intent: Intent, decision: Plan | Forecast) -> None:
        """Take note of a decision that is another one than the last; see `ports.Transcript.decided`."""
        steps = decision.steps if isinstance(decision, Plan) else tuple(s for wave in decision.waves for s in wave)
        waits = tuple(wait.what for wait in decision.waits)
        refused = tuple(refusal.code for refusal in decision.refusals)
        key = (type(decision), frozenset(s.key for s in steps), waits, refused)
        if key == self._decided and not self._finished:
            return
        after, self._finished, self._decided = self._finished, [], key
        if not (steps or waits or refused or after) and isinstance(decision, Plan):
            return
        self.note(
            "foreseen" if isinstance(decision, Forecast) else "decided",
            inputs=self._digests.of(state, intent),
            planned=[_planned(step) for step in steps],
            waits=[[wait.what, wait.because] for wait in decision.waits],
            refused=list(refused),
            after=[list(pair) for pair in after],
        )

    def remark(self, what: str) -> None:
        """Take note of what did not go well and harms nothing."""
        self.note("remark", what=what)

    def flush(self, *, last: bool = False) -> None:
        """Write what is held back; what goes wrong is said once and harms nothing."""
        held, self._held, self._flushed = self._held, [], self._now()
        self._file.write([json.dumps(_harmless(event), ensure_ascii=False) for event in held], last=last)
        if self._file.trouble and not self._warned:
            self._warned = True
            self._say(f"note: no transcript of this run is kept ({self._file.trouble}); the run goes on")

    def stop_clock(self) -> None:
        """Write what is held back; from now on no time passes, since a simulated clock ends with its session."""
        stopped = self._now()
        self._now = lambda: stopped
        self.flush()

    def end(self, code: int) -> None:
        """Write how the run ended."""
        self.flush()
        self.note("end", code=code)
        self.flush(last=True)
        self._file.close()


def _planned(step: PlannedStep) -> list[str]:
    return [step.key.verb, step.step.target, step.scope.value]


def _harmless(event: Event) -> Event:
    """Return an event without secrets and what is not printable; most have neither, which is seen at one look."""
    whole = "\n".join(_texts(event))
    if masked(whole) == whole and whole.replace("\n", "").isprintable() and len(whole) <= _LONGEST_TEXT:
        return event
    cleaned = _cleaned(event)
    assert isinstance(cleaned, dict)
    return cleaned


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return excerpt(masked(value), _LONGEST_TEXT)
    if isinstance(value, dict):
        return {key: _cleaned(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_cleaned(part) for part in value]
    return value
