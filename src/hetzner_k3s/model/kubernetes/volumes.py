"""Where a persistent volume can be mounted: asked before a Node and its server go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HOSTNAME = "kubernetes.io/hostname"
NAME = "metadata.name"
"""The one field that a term of an affinity may name beside labels."""

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of a node affinity, in Kubernetes' words."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Labels) -> bool | None:
        """Check whether a Node with these labels fulfils it; None where that cannot be told."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                return None


Term = tuple[Requirement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume that a claim is bound to.

    Args:
        claim: `namespace/name` of the claim.
        terms: of its node affinity: one of them must hold; none where it has no affinity.
        on_disk: whether it lies on the disk of a host (`hostPath`, `local`).
    """

    claim: str
    terms: tuple[Term, ...] = ()
    on_disk: bool = False


def labels_of(name: str, labels: Labels) -> Labels:
    """Return what affinities can name of a Node; of one that is gone, its name is all there is."""
    return {HOSTNAME: name, **labels, NAME: name}


def only_here(
    volumes: Iterable[Volume], node: Labels, others: Iterable[Labels], mounted: frozenset[str]
) -> tuple[str, ...]:
    """Return the claims whose volumes this Node can mount and no other one, sorted.

    Args:
        volumes: all that are bound.
        node: what affinities can name of it.
        others: the same of every other Node that takes pods.
        mounted: the claims that pods on this Node mount, for what has no affinity and lies on a disk.
    """
    elsewhere = tuple(others)
    return tuple(sorted({v.claim for v in volumes if _is_bound_to(v, node, elsewhere, mounted)}))


def _is_bound_to(volume: Volume, node: Labels, others: tuple[Labels, ...], mounted: frozenset[str]) -> bool:
    if not volume.terms:
        return volume.on_disk and volume.claim in mounted
    here = any(_holds(term, node) is not False for term in volume.terms)
    return here and not any(_holds(term, other) for term in volume.terms for other in others)


def _holds(term: Term, labels: Labels) -> bool | None:
    """Check a term: what cannot be told makes it unknown, so that it counts here and nowhere else."""
    told = [requirement.holds(labels) for requirement in term]
    if False in told:
        return False
    return None if None in told else True
