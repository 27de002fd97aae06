"""How a run ended, in one sentence: what was done by it, in what time, where the API is, and what comes next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hetzner_k3s.cli.render.tables import duration
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.plan import Forecast, PlannedStep, Reason, Verb
from hetzner_k3s.model.steps import CreateServer, DeleteServer


@dataclass(slots=True)
class Tally:
    """What a run carried out: its steps, and the servers among them that it `created`, `replaced` or `deleted`.

    `named` is whether it named something beside its steps: of a deletion what that leaves.
    """

    steps: int = 0
    servers: Counter[str] = field(default_factory=Counter)
    named: bool = False
    _given_up: set[str] = field(default_factory=set)
    """Names of servers that were deleted and are not there again."""

    def shown(self, forecast: Forecast) -> None:
        """Remember that something was named; what is told later does not take it back."""
        self.named = self.named or bool(forecast.notes)

    def finished(self, planned: PlannedStep) -> None:
        """Count a step that was carried out; a server that an earlier run asked for was not created by this one."""
        self.steps += 1
        if planned.reason is Reason.UNFINISHED:
            return
        if isinstance(planned.step, CreateServer):
            self._created(planned.step.target, lost=planned.reason is Reason.LOST)
        elif isinstance(planned.step, DeleteServer):
            self.servers["deleted"] += 1
            self._given_up.add(planned.step.target)

    def _created(self, name: str, *, lost: bool) -> None:
        """Count a server; one that this run has deleted before is replaced."""
        if name in self._given_up:
            self._given_up.remove(name)
            self.servers["deleted"] -= 1
            lost = True
        self.servers["replaced" if lost else "created"] += 1

    def __str__(self) -> str:
        counts = [f"{self.servers[what]} {what}" for what in ("created", "replaced", "deleted") if self.servers[what]]
        steps = "1 step done" if self.steps == 1 else f"{self.steps} steps done"
        return ", ".join(counts) or steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended; `api` is the URL that the kubeconfig leads to, None where this machine holds none.

    `error` is what it failed of: whoever ends the process says it, with its hint.
    """

    verb: Verb
    code: ExitCode
    tally: Tally
    seconds: float
    api: str | None = None
    kubeconfig: str = ""
    exported: str | None = None
    """What KUBECONFIG is in the environment of the command."""
    error: BaseException | None = None

    @property
    def _is_up_to_date(self) -> bool:
        """Check whether a cluster was made or kept, and the run went to its end."""
        return self.verb is Verb.CREATE and self.code in {ExitCode.CONVERGED, ExitCode.PENDING} and self.error is None

    @property
    def summary(self) -> str:
        """Return the sentence about the cluster, empty where a refusal has said it all."""
        done = f"{self.tally} in {duration(self.seconds)}"
        if self.verb is Verb.DELETE and self.code is ExitCode.CONVERGED:
            gone = "is gone, but for what is named above" if self.tally.named else "nothing of it is left"
            return f"{gone}: {done}" if self.tally.steps else gone
        if self._is_up_to_date:
            but = "" if self.code is ExitCode.CONVERGED else ", but for what was left alone"
            if not self.tally.steps:
                return f"is up to date{but}; total time {duration(self.seconds)}"
            return f"is up to date{but}: {done}{f'; API at {self.api}' if self.api else ''}"
        return f"stopped: {done}" if self.tally.steps else ""

    @property
    def next(self) -> str:
        """Return the command that a user who made a cluster gives next, empty where there is none."""
        if not (self._is_up_to_date and self.api and self.tally.steps):
            return ""
        if self.exported == self.kubeconfig:
            return "kubectl get nodes"
        return f"export KUBECONFIG={shlex.quote(self.kubeconfig)}"


def next_lines(ending: Ending) -> Iterator[str]:
    """Render what comes next, on a line of its own that can be copied whole."""
    if ending.next:
        yield f"next: {ending.next}"
