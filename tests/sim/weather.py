"""What sort of storm a seed brings: over which cluster, to which wish, with which losses, and for which owner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.faults import DatabaseDeleted, Fault, Rebuilt, ServerDeleted
from hetzner_k3s.model.spec import ClusterSpec

from . import strikes
from .clusters import a_spec, in_the_internet, with_s3

_WISHES: Final = (
    ((5, 2), (3, 1)),
    ((5, 1), (1, 1)),
    ((3, 2), (1, 1)),
    ((3, 1), (3, 0)),
    ((3, 0), (5, 1)),
    ((1, 1), (3, 2)),
    ((1, 0), (3, 0)),
    ((3, 1), (3, 2)),
)
"""Masters and workers: what was, and what is wished for."""
_SIZES: Final = ((3, 1), (3, 1), (3, 1), (3, 1), (3, 0), (3, 2), (1, 1), (1, 1), (5, 1))


_IN_THE_INTERNET: Final = 0.15


@dataclass(frozen=True)
class Weather:
    """One seed's storm.

    Args:
        kind: what it is about.
        was: the file that the cluster was initialized with; None where the storm passes over the birth itself.
        wish: the file at the end.
        first: what strikes the cluster at rest, before the tool runs.
        later: what strikes while it runs.
        prunes: whether `--prune` is given from the first run on, or only once all else is up to date.
        gives_up: whether the owner would have a new cluster rather than none.
        from_2x: whether hetzner-k3s 2.x made the cluster, and it was adopted before the storm.
        in_the_internet: whether the nodes meet at their public addresses.
        patient: how likely the owner undoes what can be undone, rather than answer a refusal.
    """

    kind: str
    was: ClusterSpec | None
    wish: ClusterSpec
    first: tuple[Fault, ...]
    later: tuple[Fault, ...]
    prunes: bool
    gives_up: bool
    patient: float
    from_2x: bool = False
    in_the_internet: bool = False

    @property
    def about(self) -> str:
        """Tell what it is about, and over which sort of cluster."""
        return self.kind + (" of 2.x" if self.from_2x else " in the internet" if self.in_the_internet else "")

    def told(self) -> str:
        """Tell it in a line."""
        old = f"{len(self.was.masters)}+{len(self.was.servers()) - len(self.was.masters)}" if self.was else "nothing"
        new = f"{len(self.wish.masters)}+{len(self.wish.servers()) - len(self.wish.masters)}"
        s3 = "with S3" if self.wish.etcd.s3 else "without S3"
        return f"{self.about}: {old} -> {new}, {s3}{', --prune' if self.prunes else ''}; first {self.first}"


def weather(chance: Chance, *, adopted: float = 0.1) -> Weather:
    """Draw a storm: over a birth, a living cluster, one that grows or shrinks, one that loses a quorum, or by hands.

    `adopted` is the share, of the storms that can pass over a cluster of 2.x, of those that do.
    """
    part = chance.uniform(0, 1)
    kind = next(name for name, ends in _KINDS if part <= ends)
    was, wish = _files(kind, chance)
    first, later = _strikes(kind, was, wish, chance)
    of_ours_alone = any(isinstance(fault, DatabaseDeleted | Rebuilt) for fault in (*first, *later))
    drawn = Weather(
        kind=kind,
        was=was,
        wish=wish,
        first=tuple(first),
        later=tuple(later),
        prunes=chance.happens(0.6),
        gives_up=chance.happens(0.3),
        patient=chance.choice((0.2, 0.6, 1.0)),
        # Drawn last: what else a seed brings stays. A unit of 2.x that finds no database begins another cluster by
        # itself (`test_adoption.py`), a rebuilt server of 2.x has no boot key that proves it, and hands know our files.
        from_2x=chance.happens(adopted) and was is not None and kind != "hands" and not of_ours_alone,
    )
    public = chance.fork("network").happens(_IN_THE_INTERNET) and not drawn.from_2x
    return _moved(drawn) if public else drawn


def _moved(weather: Weather) -> Weather:
    was = in_the_internet(weather.was) if weather.was is not None else None
    return replace(weather, was=was, wish=in_the_internet(weather.wish), in_the_internet=True)


_KINDS: Final = (("birth", 0.15), ("life", 0.5), ("scaling", 0.68), ("loss", 0.9), ("hands", 1.0))


def _files(kind: str, chance: Chance) -> tuple[ClusterSpec | None, ClusterSpec]:
    stored = chance.happens(0.6)
    sizes = chance.choice(_WISHES) if kind == "scaling" else (chance.choice(_SIZES),) * 2
    was, wish = (with_s3(spec) if stored else spec for spec in (a_spec(*size) for size in sizes))
    return (None if kind == "birth" else was), wish


def _strikes(kind: str, was: ClusterSpec | None, wish: ClusterSpec, chance: Chance) -> tuple[list[Fault], list[Fault]]:
    """Draw what strikes first and what strikes later; a living cluster is struck, or its run would be over at once."""
    struck = was or wish
    later = [strikes.a_fault(struck, chance) for _ in range(1 + int(chance.uniform(0, 3)))]
    match kind:
        case "life":
            lost = ServerDeleted(chance.choice(struck.master_names))
            return [lost if chance.happens(0.5) else later.pop()], later
        case "loss":
            return strikes.losses(struck, chance, all_of_them=chance.happens(0.5)), later[:1]
        case "hands":
            return [strikes.by_hand(struck, chance)], later[:1]
        case _:
            return [], later
