"""What went wrong in a run, and what the run therefore does not begin again.

A step that failed stops itself, not its neighbours (docs/architecture.md#law-12): what does not depend on it goes on,
because every step is planned from what is there. Only what is true of all steps alike ends a run for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from hetzner_k3s.model.errors import (
    CloudError,
    CloudRefused,
    CloudUnavailable,
    ExitCode,
    HostError,
    KubeError,
    LockLost,
    PreconditionChanged,
    ProductError,
    WrongCluster,
)
from hetzner_k3s.model.plan import Forecast, Intent, PlannedStep, StepKey
from hetzner_k3s.model.steps import CreateServer, RestoreSnapshot, StartRestored
from hetzner_k3s.model.steps.traits import TRAITS
from hetzner_k3s.model.steps.words import verb

ATTEMPTS = 3
"""How often a step may fail before the run gives up on it."""

REPETITIONS = 8
"""How often a step may be begun in a run: one that is still wanted then has no effect, and would go on for ever."""

_MORE = "the cluster changed while this run was under way, and more has to be done than was shown"
_NOBODY_MAY = frozenset({"unauthorized", "forbidden", "token_readonly", "invalid_endpoint"})
"""Hetzner's codes for a token that may not do this, whatever is asked for."""


@dataclass(slots=True, kw_only=True)
class Setbacks:
    """The failures of a run: `stopped` are the steps that it does not begin again, each with the reason.

    `approved` are the steps that were shown, `unsold` the servers that Hetzner did not sell; `halted` ends a rollout,
    `ended` the run.
    """

    approved: frozenset[StepKey] = frozenset()
    unsold: frozenset[str] = frozenset()
    halted: bool = False
    ended: ProductError | None = None
    stopped: dict[StepKey, ProductError] = field(default_factory=dict)
    unapproved: set[StepKey] = field(default_factory=set)
    restored: bool = False
    _shown_unsold: frozenset[str] | None = None
    _failures: Counter[StepKey] = field(default_factory=Counter)
    _begun: Counter[StepKey] = field(default_factory=Counter)

    def approve(self, shown: Forecast) -> None:
        """Take note of what was shown, and which servers were not sold by then; behind first aid it was not all."""
        self.approved = shown.keys
        self._shown_unsold = None if shown.refusals else self.unsold

    @property
    def way_is_another(self) -> bool:
        """Check whether more is wanted than was shown, where what was shown could not be all."""
        return bool(self.unapproved) and self.unsold != self._shown_unsold

    def startable(self, steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
        """Return the steps that may begin; the others are stopped, each for its reason.

        One that was not shown is an obstacle only for as long as it is wanted.
        """
        for key in self.unapproved:
            self.stopped.pop(key, None)
        self.unapproved.clear()
        for planned in steps:
            if planned.key not in self.stopped and (why := self._objection(planned)) is not None:
                self.stopped[planned.key] = why
        return tuple(planned for planned in steps if self.ended is None and planned.key not in self.stopped)

    def _objection(self, planned: PlannedStep) -> ProductError | None:
        key = planned.key
        if planned.key not in self.approved:
            self.unapproved.add(key)
            return _NotShown([planned])
        most = 1 if TRAITS[key.kind].once else REPETITIONS
        if self._begun[key] < most:
            return None
        return ProductError(
            f"{verb(planned.step)} {key.target}: done {most} times, and still wanted: {planned.because}",
            hint="Something undoes it. Look at it, then run the command again.",
        )

    def begin(self, planned: PlannedStep) -> None:
        """Count that a step was begun."""
        self._begun[planned.key] += 1

    def complete(self, planned: PlannedStep) -> None:
        """Take note of a step that was carried out."""
        self.restored = self.restored or isinstance(planned.step, RestoreSnapshot | StartRestored)

    def ending(self, code: ExitCode) -> ExitCode:
        """Return what a run ends with: "refused, nothing done" would be untrue of one that restored a cluster."""
        return ExitCode.FAILED if code is ExitCode.REFUSED and self.restored else code

    def fail(self, planned: PlannedStep, error: ProductError) -> None:
        """Take note of a failure: the step is stopped when another try would not help or was made often enough."""
        self._failures[planned.key] += 1
        if isinstance(error, LockLost | WrongCluster) or (isinstance(error, CloudError) and error.code in _NOBODY_MAY):
            self.ended = self.ended or error
        elif isinstance(planned.step, CreateServer) and _is_not_sold(error):
            self.unsold |= {planned.step.target}
            self.stopped[planned.key] = error
        elif TRAITS[planned.key.kind].rolls:
            self.halted = True
            self.stopped[planned.key] = error
        elif not _worth_another_try(error) or self._failures[planned.key] >= ATTEMPTS:
            self.stopped[planned.key] = error

    def met(self, intent: Intent) -> Intent:
        """Return the wish as it is after what failed."""
        return replace(intent, unsold=self.unsold, halted=self.halted)

    def tries_again(self, planned: PlannedStep) -> bool:
        """Check whether a step that failed may begin once more."""
        return self.ended is None and planned.key not in self.stopped

    def error(self) -> ProductError | None:
        """Return what the run ends with: its one failure, or all of them in one; None when nothing failed."""
        if self.ended is not None:
            return self.ended
        errors = _told_once(self.stopped.values())
        return errors[0] if len(errors) == 1 else _Several(errors) if errors else None


class _NotShown(ProductError):
    """Steps are wanted that the shown plan does not name.

    Where the user asked for all of them, nothing went wrong: they could only be seen once a master answered.
    """

    def __init__(self, steps: Sequence[PlannedStep]) -> None:
        asked_for = all(planned.consent is not None for planned in steps)
        what = "what was asked for can be seen only now" if asked_for else _MORE
        super().__init__(f"{what}: {_told(steps)}", hint="Run the command again to see the new plan.")
        self.exit_code = ExitCode.PENDING if asked_for else ExitCode.FAILED
        self.steps = tuple(steps)


def _told(steps: Sequence[PlannedStep]) -> str:
    """Name steps, those of one kind and reason together."""
    targets: dict[tuple[str, str], list[str]] = {}
    for planned in steps:
        targets.setdefault((verb(planned.step), planned.because), []).append(planned.key.target)
    return "; ".join(f"{what} {', '.join(names)}, because {why}" for (what, why), names in targets.items())


def _told_once(stopped: Iterable[ProductError]) -> list[ProductError]:
    """Return the errors without those that say the same; all that was not shown is one."""
    errors = list({str(error): error for error in stopped}.values())
    unseen = [planned for error in errors if isinstance(error, _NotShown) for planned in error.steps]
    others = [error for error in errors if not isinstance(error, _NotShown)]
    return [*others, _NotShown(unseen)] if unseen else others


class _Several(ProductError):
    """More than one step failed; the exit code is Hetzner's refusal only where all of them are."""

    def __init__(self, errors: list[ProductError]) -> None:
        hints = dict.fromkeys(error.hint for error in errors if error.hint)
        super().__init__("; ".join(map(str, errors)), hint=" ".join(hints))
        codes = {error.exit_code for error in errors}
        self.exit_code = codes.pop() if len(codes) == 1 else ExitCode.FAILED


def _is_not_sold(error: ProductError) -> bool:
    return isinstance(error, CloudRefused) or (isinstance(error, CloudUnavailable) and error.out_of_stock)


def _worth_another_try(error: ProductError) -> bool:
    if isinstance(error, CloudUnavailable):
        return not error.out_of_stock
    return isinstance(error, HostError | KubeError | PreconditionChanged)
