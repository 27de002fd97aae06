"""What only the user can decide: each consent is a class, names its object, and is never guessed.

Its flag is spelled here and nowhere else: the command line, the refusals that propose it and the steps that need it
take it from the class. docs/architecture.md#where-to-add says where a new one goes.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final, Self, TypeVar


@dataclass(frozen=True, slots=True)
class Consent:
    """What is never done unasked, permitted for the one run that it was given to; written as the user types it.

    `help` is what the command line says of it. One that is `repeatable` may be given for several objects.
    """

    flag: ClassVar[str]
    help: ClassVar[str]
    repeatable: ClassVar[bool] = False

    def __str__(self) -> str:
        return self.flag


@dataclass(frozen=True, slots=True)
class NamingConsent(Consent):
    """A consent for the object that the user `named`; `metavar` stands for it in the help.

    One that may be typed without an object means `otherwise` then.
    """

    metavar: ClassVar[str]
    otherwise: ClassVar[str | None] = None
    named: str

    @classmethod
    def typed(cls, text: str) -> Self:
        """Return the consent for what was typed behind its flag.

        Raises:
            ValueError: nothing of this kind can be named so.
        """
        return cls(text)

    def __str__(self) -> str:
        return f"{self.flag} {self.named}"


@dataclass(frozen=True, slots=True)
class Replace(NamingConsent):
    """A master, by its name, that may be discarded; one consent a master."""

    flag = "--replace"
    metavar = "MASTER"
    help = "Discard this master, which is there and not well: its server is deleted, another one takes its place."
    repeatable = True


_EIGHT_DIGITS: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class _OfCa(NamingConsent):
    """A consent that names a cluster by the first eight digits of its CA's hash."""

    metavar = "CA8"

    @classmethod
    def typed(cls, text: str) -> Self:
        """Take exactly eight digits, in any case: fewer could fit two clusters."""
        digits = text.lower()
        if not _EIGHT_DIGITS.fullmatch(digits):
            raise ValueError(f"{text!r} is not the first eight digits of a hash or UID")
        return cls(digits)


@dataclass(frozen=True, slots=True)
class AcceptCa(_OfCa):
    """The CA that the cluster was rotated to, by the first eight digits of its hash."""

    flag = "--accept-ca"
    help = "You rotated the cluster's CA: record the one that begins so."

    def vouches_for(self, ca: str) -> bool:
        """Check whether this CA hash, or its beginning in a label, is the accepted one."""
        return ca.startswith(self.named)


@dataclass(frozen=True, slots=True)
class Adopt(_OfCa):
    """The living cluster of hetzner-k3s 2.x that is recorded as it is, by the first eight digits of its CA's hash."""

    flag = "--adopt"
    help = "hetzner-k3s 2.x made this cluster: record it as it is, so that it is repaired and scaled from then on."


@dataclass(frozen=True, slots=True)
class Prune(Consent):
    """What is beyond the file may go."""

    flag = "--prune"
    help = "Let go what exists beyond the file: drained, removed, deleted."


@dataclass(frozen=True, slots=True)
class ResetQuorumFrom(NamingConsent):
    """The master, by its name, whose data goes on when quorum is lost."""

    flag = "--reset-quorum-from"
    metavar = "NAME"
    help = "Quorum is lost for good: go on from this master's data, checked to be the newest left."


@dataclass(frozen=True, slots=True)
class Keep(NamingConsent):
    """The side of a split brain that stays, by eight digits of its CA hash, UID, lineage or of a member's id."""

    flag = "--keep"
    metavar = "ID8"
    help = "Of two clusters under this name keep the one of these digits; the other is fenced, its data kept."


@dataclass(frozen=True, slots=True)
class Restore(NamingConsent):
    """The snapshot to go back to when all masters are lost: the newest, one by its name, or a path on this machine."""

    flag = "--restore"
    metavar = "latest|NAME|PATH"
    help = "All masters are lost: restore this snapshot (see `snapshots`), or a backup, or a snapshot file."


LATEST: Final = Restore("latest")


@dataclass(frozen=True, slots=True)
class NewClusterOver(NamingConsent):
    """The cluster that is given up for a new one of its name, by the first eight digits of its CA hash or UID."""

    flag = "--new-cluster-over"
    metavar = "ID8"
    help = "Give a lost cluster up, and begin a new one of its name."


@dataclass(frozen=True, slots=True)
class SkipAddressCheck(Consent):
    """The firewall may shut this machine out."""

    flag = "--skip-current-ip-validation"
    help = "Set the firewall although its rules would shut this machine out."


@dataclass(frozen=True, slots=True)
class Rollout(NamingConsent):
    """Which servers may be restarted for what the file says now: all, the masters, a pool, or one by its name.

    `addons` names no server: charts of ours may take the place of the add-ons that hetzner-k3s 2.x applied.
    """

    flag = "--rollout"
    metavar = "[masters|POOL|NAME]"
    otherwise = "all"
    help = (
        "Carry out changes that restart k3s: on all servers, on the masters, on a pool or on one server. `addons`: "
        "replace the add-ons that hetzner-k3s 2.x applied."
    )

    def __str__(self) -> str:
        return self.flag if self.named == self.otherwise else f"{self.flag} {self.named}"


_UP_TO_99: Final = re.compile(r"[1-9][0-9]?")


@dataclass(frozen=True, slots=True)
class Surge(NamingConsent):
    """How many servers more than the file's a pool may have while workers of it are made anew."""

    flag = "--surge"
    metavar = "N"
    help = (
        "Where a rollout makes workers anew, order N more of their pool first, and let those go at the end: so that "
        "pods have room meanwhile. Masters have none."
    )

    @classmethod
    def typed(cls, text: str) -> Self:
        """Take a number from 1 to 99: a network has no room for more."""
        if not _UP_TO_99.fullmatch(text):
            raise ValueError(f"{text!r} is not a number from 1 to 99")
        return cls(text)

    @property
    def number(self) -> int:
        """Return how many a pool may have."""
        return int(self.named)


@dataclass(frozen=True, slots=True)
class Upgrade(Consent):
    """All servers may be restarted with another k3s: what the command `upgrade` asks for, and no flag of its own."""

    flag = "upgrade"
    help = "Upgrade k3s on all servers."


@dataclass(frozen=True, slots=True)
class MakeAnew(Consent):
    """A server, by its name, may be replaced though nothing about it differs: what the command `replace` asks for.

    `server_id` is the one that was seen when that was permitted: its successor is not replaced again.
    """

    flag = "replace"
    help = "Replace this server."
    named: str
    server_id: int | None = None

    def __str__(self) -> str:
        return f"{self.flag} {self.named}"


@dataclass(frozen=True, slots=True)
class DeleteLocalData(Consent):
    """Volumes that lie on a server's own disk may go with it."""

    flag = "--delete-local-data"
    help = "Let volumes on the disks of servers that go go with them: there is no other copy."


@dataclass(frozen=True, slots=True)
class WithVolumes(Consent):
    """The volumes that Kubernetes made for the cluster may go with it, and all data on them."""

    flag = "--with-volumes"
    help = "Delete the volumes that Kubernetes made for this cluster too, and all data on them: there is no other copy."


@dataclass(frozen=True, slots=True)
class WithLoadBalancers(Consent):
    """The load balancers that Kubernetes keeps for the cluster's Services may go with it."""

    flag = "--with-load-balancers"
    help = "Delete the load balancers of this cluster's Services too; their addresses are lost."


ROLLOUT_MASTERS: Final = "masters"
"""What `Rollout` calls the masters; a pool of that name is never meant."""

ROLLOUT_ADDONS: Final = "addons"
"""What `Rollout` calls the add-ons that 2.x applied; neither a pool of that name is meant, nor are they by `all`."""


KINDS: Final[tuple[type[Consent], ...]] = (
    Replace,
    AcceptCa,
    Adopt,
    Prune,
    Rollout,
    Surge,
    DeleteLocalData,
    ResetQuorumFrom,
    Keep,
    Restore,
    NewClusterOver,
    SkipAddressCheck,
)
"""Every kind of consent that is a flag of `create`, in the order in which the help lists them."""

OF_DELETION: Final[tuple[type[Consent], ...]] = (WithVolumes, WithLoadBalancers)
"""Those that are flags of `delete`."""

BY_COMMAND: Final[tuple[type[Consent], ...]] = (Upgrade, MakeAnew)
"""Those that a command of their own gives."""

_Kind = TypeVar("_Kind", bound=Consent)


@dataclass(frozen=True, slots=True)
class Consents:
    """The consents that were given to one run.

    Raises:
        ValueError: two of one kind are given that is not repeatable.
    """

    given: frozenset[Consent] = frozenset()

    def __post_init__(self) -> None:
        counts = Counter(type(consent) for consent in self.given)
        twice = [kind.flag for kind, count in counts.items() if count > 1 and not kind.repeatable]
        if twice:
            raise ValueError(f"given for two objects: {', '.join(sorted(twice))}")

    @classmethod
    def of(cls, *given: Consent) -> Consents:
        """Return these consents as a run is given them."""
        return cls(frozenset(given))

    def __contains__(self, consent: Consent) -> bool:
        return consent in self.given

    def get(self, kind: type[_Kind]) -> _Kind | None:
        """Return the consent of a kind that is not repeatable; None where it was not given."""
        return next(iter(self.every(kind)), None)

    def every(self, kind: type[_Kind]) -> tuple[_Kind, ...]:
        """Return all consents of a kind, in the order of what they name."""
        return tuple(sorted((consent for consent in self.given if isinstance(consent, kind)), key=str))

    def adding(self, consent: Consent) -> Consents:
        """Return them with one more, which takes the place of another of its kind unless that is repeatable."""
        others = () if consent.repeatable else self.every(type(consent))
        return Consents(self.given.difference(others) | {consent})

    def without(self, *consents: Consent) -> Consents:
        """Return them without these."""
        return Consents(self.given.difference(consents))
