"""Actions: what the API promises to do and how far it got.

See docs/facts/hetzner-api.md#actions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hetzner_k3s.lab.cloud.kernel import MachineFailedError, Process
from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.requests.errors import not_found
from hetzner_k3s.lab.cloud.requests.fields import JsonObject

Subject = tuple[str, int]
"""Kind ("server", "network", …) and id of a resource that an action is about."""


@dataclass(slots=True, eq=False)
class Action:
    """One promise; terminal states never change. The first subject is the resource that does it."""

    id: int
    command: str
    subjects: tuple[Subject, ...]
    started: float
    finished: float | None = None
    error: tuple[str, str] | None = None
    locks: bool = field(default=True)

    @property
    def running(self) -> bool:
        """Check whether it is not over yet."""
        return self.finished is None

    @property
    def status(self) -> str:
        """Return the state in the API's words."""
        if self.running:
            return "running"
        return "error" if self.error else "success"

    def succeed(self, now: float) -> None:
        """End well."""
        if self.running:
            self.finished = now

    def fail(self, now: float, code: str, message: str) -> None:
        """End badly."""
        if self.running:
            self.finished, self.error = now, (code, message)


def view(action: Action) -> JsonObject:
    """Return the JSON object of an action."""
    return {
        "id": action.id,
        "command": action.command,
        "status": action.status,
        "progress": 50 if action.running else 100,
        "started": moment(action.started),
        "finished": None if action.finished is None else moment(action.finished),
        "resources": [{"id": number, "type": kind} for kind, number in action.subjects],
        "error": None if action.error is None else {"code": action.error[0], "message": action.error[1]},
    }


class ActionLog:
    """The actions of one project, also by resource.

    Args:
        now: gives UNIX seconds.
        next_id: gives ids that were never used.
    """

    def __init__(self, now: Callable[[], float], next_id: Callable[[], int]) -> None:
        self._now = now
        self._next_id = next_id
        self._by_id: dict[int, Action] = {}
        self._by_subject: defaultdict[Subject, list[Action]] = defaultdict(list)

    def begin(self, command: str, *subjects: Subject, locks: bool = True) -> Action:
        """Record a running action; `locks` says whether its resources refuse other changes meanwhile."""
        action = Action(self._next_id(), command, subjects, self._now(), locks=locks)
        self._by_id[action.id] = action
        for subject in subjects:
            self._by_subject[subject].append(action)
        return action

    def all(self) -> Iterable[Action]:
        """Return every action of the project."""
        return self._by_id.values()

    def get(self, number: int) -> Action:
        """Return one action; `not_found` when there is none."""
        if number not in self._by_id:
            raise not_found("action", number)
        return self._by_id[number]

    def of(self, subject: Subject) -> list[Action]:
        """Return the actions of one resource, oldest first."""
        return self._by_subject.get(subject, [])

    def of_kind(self, kind: str) -> list[Action]:
        """Return the actions of all resources of a kind."""
        return [action for action in self._by_id.values() if any(subject[0] == kind for subject in action.subjects)]

    def busy(self, subject: Subject, *, locking: bool = False) -> bool:
        """Check whether an action (one that locks) of the resource itself is running."""
        own = (action for action in self.of(subject) if action.subjects[0] == subject)
        return any(action.running and (action.locks or not locking) for action in own)

    def under_way(self, subject: Subject, command: str) -> Action | None:
        """Return the running action of a resource that does this, None when there is none."""
        return next((a for a in self.of(subject) if a.running and a.command == command), None)

    def abandon(self, subject: Subject) -> None:
        """Fail what still runs for a resource that is being deleted.

        See docs/facts/hetzner-api.md#actions.
        """
        kind = subject[0]
        for action in (action for action in self.of(subject) if action.subjects[0] == subject):
            message = f"{kind.capitalize().replace('_', ' ')} does not exist anymore"
            action.fail(self._now(), f"{kind}_does_not_exist_anymore", message)

    def carry_out(self, action: Action, work: Process) -> Process:
        """Wrap a process so that the action ends with it; a failed machine call fails the action."""
        try:
            yield from work
        except MachineFailedError as error:
            action.fail(self._now(), "action_failed", f"Action failed: {error}")
        else:
            action.succeed(self._now())
