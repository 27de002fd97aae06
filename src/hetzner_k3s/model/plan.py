"""A plan is data: steps that are safe now, what is waited for, and what is refused, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from hetzner_k3s.model.consents import ROLLOUT_ADDONS, Consent, Consents, MakeAnew, Rollout, Upgrade
from hetzner_k3s.model.difference import Difference, left_as_it_is
from hetzner_k3s.model.steps import DeleteResource, MarkForDeletion, Step
from hetzner_k3s.model.steps.traits import TRAITS
from hetzner_k3s.model.text.settings import Diagnostic

DRAIN_WITHIN: Final = 300.0
"""Seconds in which all pods of a Node must have gone, where the user says nothing else."""


class Verb(Enum):
    """Which wish the loop works for."""

    CREATE = "create"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What the user asked for beside the file: the verb, the consents given, and the add-ons as name of an object ->
    wanted digest; `drain_within` are the seconds in which a Node must be empty; `unasked` says that a deletion is not
    shown to anybody who could say no.
    """

    verb: Verb
    addons: Mapping[str, str] = field(default_factory=dict)
    keep_kubeconfig: bool = False
    unasked: bool = False
    consents: Consents = field(default_factory=Consents)
    drain_within: float = DRAIN_WITHIN
    unsold: frozenset[str] = frozenset()
    """Servers that Hetzner did not sell to this run: what does not need them goes on."""
    halted: bool = False
    """Whether a server of a rollout did not come back in this run: no other one is begun."""
    foreseen: bool = False
    """Whether this is foreseen, not done: what comes one after another is then named at once."""

    @property
    def may_exchange(self) -> bool:
        """Check whether servers that are there, or their k3s, may become others."""
        given = (self.consents.get(kind) for kind in (Upgrade, Rollout, MakeAnew))
        return any(consent is not None and consent != Rollout(ROLLOUT_ADDONS) for consent in given)


class Reason(Enum):
    """Why a step is taken."""

    MISSING = "missing"
    DIFFERS = "differs"
    BIRTH = "birth"
    UNFINISHED = "unfinished"
    LOST = "lost"
    GROW = "grow"
    SHRINK = "shrink"
    DELETE = "delete"


class Scope(Enum):
    """The independent parts of a plan; a worker's scope is keyed by its name besides."""

    INFRASTRUCTURE = "infrastructure"
    CONTROL_PLANE = "control plane"
    WORKER = "worker"
    ADDONS = "add-ons"
    LOCAL = "this machine"


@dataclass(frozen=True, slots=True)
class StepKey:
    """What a step is known by while it is planned, under way, done or given up: its type and its target.

    Network, firewall and SSH key of a cluster have one name, so what goes is told apart by `resource`.
    """

    kind: type[Step]
    target: str
    resource: str = ""

    @property
    def verb(self) -> str:
        """Return the step's name, as the journal and the JSON output hold it."""
        return f"{self.kind.__name__} {self.resource}".rstrip()

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step with the sentence that tells why it is taken, and the consent that permits it where it needs one."""

    step: Step
    scope: Scope
    reason: Reason
    because: str
    consent: Consent | None = None

    @property
    def key(self) -> StepKey:
        """Return the step's idempotency key."""
        resource = self.step.kind if isinstance(self.step, DeleteResource | MarkForDeletion) else ""
        return StepKey(type(self.step), self.step.target, resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Something that has to come by itself, with the seconds it is given; `otherwise` is said when it did not come.

    Where that is `tolerated`, the run ends without it, and its plan's `degraded` tells what is missing. What is `idle`
    only time shows: where nothing else is left, it is looked at without the lock, for nothing is done meanwhile.
    """

    what: str
    because: str
    deadline: float
    otherwise: Refusal | None = None
    tolerated: bool = False
    idle: bool = False


PATIENCE = 20.0
"""Seconds in which what may pass by itself (an election, a busy host) has passed."""


EVERY: Final = frozenset({"*"})
"""In `Refusal.keeps`: every server of the project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way out of a refusal that not every other refusal allows: its words, and what is done on it.

    `deletes` names the servers that it deletes, `starts` the masters on which it starts or restarts k3s, `consent` is
    what it gives, or only the kind of that where the user alone knows the object. Without a `text` its words stand in
    `Refusal.you_can`.
    """

    text: str = ""
    deletes: frozenset[str] = frozenset()
    starts: frozenset[str] = frozenset()
    consent: Consent | type[Consent] | None = None

    @property
    def kind(self) -> type[Consent] | None:
        """Return the kind of the consent that it gives."""
        return self.consent if self.consent is None or isinstance(self.consent, type) else type(self.consent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing is done; `code` is stable, the texts say what was seen, why we hold still, and what can be done.

    `transient` says that an election or a restart under way may clear it up: a run looks again before it gives up,
    for as many seconds as `patience` says. `ways` are ways out that another refusal may forbid: one that `keeps`
    servers, that wants k3s on masters to stay as it is (`rests`), or that `forbids` consents, by their kinds.
    `settings` are those of the file that are refused, each with its place.
    """

    code: str
    saw: str
    why: str
    you_can: str
    transient: bool = False
    patience: float = PATIENCE
    ways: tuple[Way, ...] = ()
    keeps: frozenset[str] = frozenset()
    rests: frozenset[str] = frozenset()
    forbids: frozenset[type[Consent]] = frozenset()
    settings: tuple[Diagnostic, ...] = ()

    def allows(self, way: Way) -> bool:
        """Check whether a way out may be offered beside this refusal."""
        kept = way.deletes if self.keeps == EVERY else way.deletes & self.keeps
        return not (kept or way.starts & self.rests or way.kind in self.forbids)


def agreeing(refusals: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    """Return the refusals as they are said together: without the ways out that one of them forbids."""
    return tuple(_saying(r, tuple(w for w in r.ways if _is_allowed(w, refusals))) for r in refusals)


def _is_allowed(way: Way, refusals: tuple[Refusal, ...]) -> bool:
    return not way.text or all(refusal.allows(way) for refusal in refusals)


def _saying(refusal: Refusal, ways: tuple[Way, ...]) -> Refusal:
    """Write the words of the ways that are left behind those of the refusal."""
    told = " ".join(filter(None, (refusal.you_can, *(way.text for way in ways))))
    return replace(refusal, you_can=told, ways=tuple(replace(way, text="") for way in ways))


@dataclass(frozen=True, slots=True)
class Plan:
    """What may be started now. Beside a refusal that is first aid only (`decide.first_aid`)."""

    steps: tuple[PlannedStep, ...] = ()
    waits: tuple[Wait, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    notes: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    """What is not well and is left alone on purpose, each as a sentence: the run ends with exit code 3."""
    differences: tuple[Difference, ...] = ()
    """Where the world is not as the file says: what `create` does not end leaves exit code 3, too."""

    @property
    def left_alone(self) -> tuple[str, ...]:
        """Return what stays as it is though it is not well, or not as the file says, each as a sentence."""
        return (*self.degraded, *left_as_it_is(self.differences))

    @property
    def settled(self) -> bool:
        """Check whether nothing is left to do or to wait for."""
        return not (self.steps or self.waits or self.refusals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What a way does to the number of servers, and to the bill of a month.

    Of those that are created and deleted `surge` are the same ones, there for the time of a rollout.
    `monthly` is the net price of what is bought less that of what is deleted, None where a price was not told.
    """

    created: int = 0
    replaced: int = 0
    deleted: int = 0
    surge: int = 0
    monthly: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The whole way as predicted, wave by wave; `refusals` are the first wave's.

    `alternatives` are steps that may be taken in the place of shown ones, where what comes first is not known.
    """

    waves: tuple[tuple[PlannedStep, ...], ...]
    waits: tuple[Wait, ...]
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]
    degraded: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    purchase: Purchase = Purchase()
    alternatives: frozenset[StepKey] = frozenset()

    @property
    def left_alone(self) -> tuple[str, ...]:
        """Return what stays as it is though it is not well, or not as the file says, each as a sentence."""
        return (*self.degraded, *left_as_it_is(self.differences))

    @property
    def seconds(self) -> float:
        """Return about how long the way takes: of each wave the longest step, so a little more than it will be."""
        return sum(max(TRAITS[type(planned.step)].seconds for planned in wave) for wave in self.waves)

    @property
    def keys(self) -> frozenset[StepKey]:
        """Return the keys of all steps: what a run that was shown this may start."""
        return _keys(self.waves) | self.alternatives


def _keys(waves: tuple[tuple[PlannedStep, ...], ...]) -> frozenset[StepKey]:
    return frozenset(step.key for wave in waves for step in wave)
