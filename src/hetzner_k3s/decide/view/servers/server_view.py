"""A wanted server in three facts, and the questions that rules ask about them."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.decide.view.node_machine import NamedServer
from hetzner_k3s.decide.view.servers.contact import (
    BEFORE_FIRST_CONTACT,
    CONTACT_LOST,
    Barrier,
    Contact,
    NotReached,
    Reached,
)
from hetzner_k3s.decide.view.servers.k3s import NEVER_RAN, UNWELL, K3s
from hetzner_k3s.decide.view.servers.membership import Membership
from hetzner_k3s.model.spec import MasterSpec, WorkerSpec

Trouble = Barrier | K3s
"""What is wrong with a server that may hold data and with which we cannot, or must not, go on by ourselves."""

TROUBLES: frozenset[Trouble] = frozenset({*CONTACT_LOST, *UNWELL})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView(NamedServer):
    """A server that has, or is to have, a wanted name, in three facts.

    `contact` says whether its host is reached, and only where it is what its k3s does; `membership` whether it is
    recorded that it joined.
    """

    spec: MasterSpec | WorkerSpec
    contact: Contact
    membership: Membership

    @property
    def barrier(self) -> Barrier | None:
        """Return what keeps us from working on its host; None where it is reached."""
        return self.contact.why if isinstance(self.contact, NotReached) else None

    @property
    def k3s(self) -> K3s | None:
        """Return how far k3s has come there; None where its host is not reached."""
        return self.contact.k3s if isinstance(self.contact, Reached) else None

    @property
    def detail(self) -> str:
        """Return what is behind `condition`: a clause, or nothing."""
        return self.contact.detail

    @property
    def condition(self) -> str:
        """Return how it is, in the words of the output."""
        if self.k3s is K3s.SERVING:
            return MEMBER if self.membership is Membership.RECORDED else "joined, not recorded yet"
        return self.contact.why.value if isinstance(self.contact, NotReached) else self.contact.k3s.value

    @property
    def described(self) -> str:
        """Return how it is, with what is behind that."""
        return f"{self.condition}{f' ({self.detail})' if self.detail else ''}"

    @property
    def serves(self) -> bool:
        """Check whether it serves the cluster, whether that was recorded or not."""
        return self.k3s is K3s.SERVING

    @property
    def is_member(self) -> bool:
        """Check whether it serves the cluster and is recorded as one that does."""
        return self.serves and self.membership is Membership.RECORDED

    @property
    def has_yet_to_be_recorded(self) -> bool:
        """Check whether it serves the cluster and is not recorded as one that does."""
        return self.serves and self.membership is not Membership.RECORDED

    @property
    def never_started(self) -> bool:
        """Check whether no k3s of ours ever ran on what has the name now."""
        return self.barrier in BEFORE_FIRST_CONTACT or self.k3s in NEVER_RAN

    @property
    def has_yet_to_join(self) -> bool:
        """Check whether it was never started, or was and is no member yet."""
        return self.never_started or self.k3s is K3s.JOINING

    @property
    def may_join_now(self) -> bool:
        """Check whether nothing but its start is left to do: it is empty, half begun, or lost its data."""
        return self.k3s in {K3s.READY, K3s.JOINING, K3s.EMPTIED}

    @property
    def awaits_first_contact(self) -> bool:
        """Check whether there is a server whose host has yet to be given its final key."""
        return self.barrier in {Barrier.BOOTING, Barrier.UNSECURED}

    @property
    def at_rest(self) -> bool:
        """Check whether it, or its k3s, was stopped: with its data it comes back when it is started."""
        return self.barrier is Barrier.OFF or self.k3s is K3s.STOPPED

    @property
    def not_ready(self) -> bool:
        """Check whether its k3s is there and does not do its work, or its peers do not reach it."""
        return self.k3s is K3s.SICK or self.barrier is Barrier.DETACHED

    @property
    def started_and_does_not_serve(self) -> bool:
        """Check whether its k3s was started, and joins, is stopped, or is not ready."""
        return self.not_ready or self.k3s in {K3s.JOINING, K3s.STOPPED}

    @property
    def trouble(self) -> Trouble | None:
        """Return what is wrong with it, where it may hold data and we must not go on by ourselves."""
        what = self.barrier or self.k3s
        return what if what in TROUBLES else None


MEMBER = "member"
"""The condition of a server that is as the file wants it."""
