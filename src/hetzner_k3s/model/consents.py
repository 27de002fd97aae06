"""What only the user can decide: each consent names its object, and none is ever guessed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Consents:
    """The consents given on the command line, each for the one run it was given to.

    `replace` are names of masters that may be discarded; `reset_quorum_from` is the master whose data goes on when
    quorum is lost; `restore` is `latest`, a snapshot's name or a path; `new_cluster_over` are the first eight digits of
    the CA hash or UID of a cluster that is given up; `accept_ca` and `keep` are the first eight digits of a CA hash
    (`keep`: or of a UID) that is right; `prune` lets go what is beyond the file; `skip_address_check` lets the firewall
    shut this machine out.
    """

    replace: frozenset[str] = frozenset()
    reset_quorum_from: str | None = None
    restore: str | None = None
    new_cluster_over: str | None = None
    accept_ca: str | None = None
    keep: str | None = None
    prune: bool = False
    skip_address_check: bool = False
