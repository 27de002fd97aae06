"""What `make bench` measures, as data: the cluster, and which part of its life is timed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Part(Enum):
    """The run that is measured; what has to be there before it is made beforehand."""

    CREATE = "create"
    NOTHING = "nothing to do"
    RECOVERY = "recovery of master1"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of the life of a cluster of so many masters and workers.

    `on_hosts`: on real hosts of the lab, too; `private`: its nodes meet in a private network, and not in the internet.
    """

    part: Part
    masters: int
    workers: int
    on_hosts: bool = False
    private: bool = True

    @property
    def name(self) -> str:
        """Name it, for tables and the command line."""
        return f"{self.part.value} {self.masters}+{self.workers}{'' if self.private else ' in the internet'}"

    @property
    def shape(self) -> tuple[int, int]:
        """Return masters and workers."""
        return self.masters, self.workers

    @property
    def nodes(self) -> int:
        """Return how many nodes the cluster has."""
        return self.masters + self.workers


SCENES = (
    Scene(Part.CREATE, 3, 1, on_hosts=True),
    Scene(Part.CREATE, 3, 3),
    Scene(Part.CREATE, 3, 10, on_hosts=True),
    Scene(Part.CREATE, 3, 97),  # a private network takes a hundred servers
    Scene(Part.CREATE, 3, 10, private=False),
    Scene(Part.CREATE, 3, 100, private=False),
    Scene(Part.CREATE, 3, 997, private=False),
    Scene(Part.RECOVERY, 3, 1, on_hosts=True),
    Scene(Part.RECOVERY, 3, 10, on_hosts=True),
    Scene(Part.NOTHING, 3, 1, on_hosts=True),
    Scene(Part.NOTHING, 3, 10, on_hosts=True),
    Scene(Part.DELETE, 3, 1, on_hosts=True),
    Scene(Part.DELETE, 3, 10, on_hosts=True),
)


def chosen(words: str, *, on_hosts: bool = False) -> tuple[Scene, ...]:
    """Return the scene of this name, else those with all these words in it; of those for real hosts, where asked."""
    wanted = set(words.split())
    found = tuple(s for s in SCENES if wanted <= set(s.name.split()) and (s.on_hosts or not on_hosts))
    return tuple(s for s in found if s.name == words) or found
