"""What the file asks for and the world does not have: the one list that `plan`, `status` and `create` read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hetzner_k3s.model.consents import Rollout
from hetzner_k3s.model.text.wording import listed


class Remedy(Enum):
    """What would bring the world to what the file says (docs/architecture.md#differences).

    `create` carries out APPLY, some of it with a consent only. The others touch servers that run, or cannot be carried
    out at all (FIXED): they are named and left as they are.
    """

    APPLY = "apply"
    RESTART = "restart"
    RESIZE = "resize"
    REPLACE = "replace"
    UPGRADE = "upgrade"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field of one thing that is not as the file says.

    Attributes:
        subject: the name of the server, Node or cloud resource; of the cluster where all have it.
        field: the key of the file, `[]` for any entry of a list; what has no key of its own is named by what it is.
        wanted: what the file says, as text.
        seen: what is there, as text.
        remedy: what would end the difference.
        because: why it is left as it is, without a full stop, where the remedy alone does not say it; of one that
            `create` could apply this says that it does not.
        rolled_out: whether the run was permitted to restart what it takes.
    """

    subject: str
    field: str
    wanted: str
    seen: str
    remedy: Remedy
    because: str = ""
    rolled_out: bool = False

    @property
    def left(self) -> bool:
        """Check whether `create` leaves it as it is."""
        return not self.rolled_out and (self.remedy is not Remedy.APPLY or bool(self.because))


_NAMED: Final = 3

_LEFT: Final = {
    Remedy.RESTART: f"it takes a restart of k3s, and `create` restarts no healthy one without `{Rollout.flag}`",
    Remedy.RESIZE: "`create` does not resize a server that runs",
    Remedy.REPLACE: "only a server that is made anew gets it",
    Remedy.UPGRADE: "`upgrade` changes it; what `create` installs gets the version that runs",
    Remedy.FIXED: "it cannot change in a cluster's life",
}


def left_as_it_is(differences: Iterable[Difference]) -> tuple[str, ...]:
    """Return a sentence, without a full stop, for each kind of difference that `create` does not end."""
    groups: dict[tuple[str, str, str, Remedy, str], list[str]] = {}
    for one in differences:
        if one.left:
            groups.setdefault((one.field, one.wanted, one.seen, one.remedy, one.because), []).append(one.subject)
    return tuple(
        f"{field}: {listed(subjects, _NAMED)} {'has' if len(subjects) == 1 else 'have'} {seen}, the file says "
        f"{wanted}; left as it is: {because or _LEFT[remedy]}"
        for (field, wanted, seen, remedy, because), subjects in groups.items()
    )
