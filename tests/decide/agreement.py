"""What refusals advise: told apart by their words and by their data, which must say the same, and never two things."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

from hetzner_k3s import decide
from hetzner_k3s.model.consents import Consent
from hetzner_k3s.model.plan import EVERY, Intent, Plan, Refusal, Way
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

_KEEPS_ALL = re.compile(r"[Dd]elete (no server|nothing)")
_DELETES = re.compile(
    r"(?i)(delete (that|the|its|it|this) (?!node|claims)|delete its masters|delete or rebuild|"
    r"can be deleted at hetzner|remove the resources|--replace|--prune|or delete it)"
)
_STARTS = re.compile(r"(?i)(systemctl (restart|enable --now|start) k3s`|start k3s\.|restart k3s there)")
_FLAG = re.compile(
    r"`(?:create )?(--(?:accept-ca|adopt|keep|reset-quorum-from|replace|restore|new-cluster-over|prune)(?: [^`]+)?)`"
)
_PLACEHOLDERS = {"--restore NAME", "--restore PATH", "--reset-quorum-from NAME"}


def contradictions(refusals: Iterable[Refusal]) -> list[tuple[str, str, str]]:
    """Return the pairs of codes of which one advises what the other forbids, and what that is."""
    told = tuple(refusals)
    return [(one.code, other.code, what) for one, other in product(told, told) for what in _clashes(one, other)]


def _clashes(one: Refusal, other: Refusal) -> Iterator[str]:
    for way in one.ways:
        if way.deletes and (other.keeps == EVERY or way.deletes & other.keeps):
            yield f"deletes {sorted(way.deletes)}"
        if way.starts & other.rests:
            yield f"starts k3s on {sorted(way.starts)}"
        if way.kind in other.forbids:
            yield as_typed(way)
    if _DELETES.search(one.you_can) and _KEEPS_ALL.search(other.you_can):
        yield "deletes, by its words"


def undeclared(refusal: Refusal) -> list[str]:
    """Return what the words of a refusal advise and its data do not, or the other way round."""
    words, ways = refusal.you_can, refusal.ways
    flags = set(_FLAG.findall(words)) - _PLACEHOLDERS
    pairs = {
        "a deletion": (bool(_DELETES.search(words)), any(way.deletes for way in ways)),
        "a start of k3s": (bool(_STARTS.search(words)), any(way.starts for way in ways)),
        "to keep every server": (
            bool(_KEEPS_ALL.search(words)),
            refusal.keeps == EVERY and bool(_KEEPS_ALL.search(words)),
        ),
        f"the consents {flags}": (flags, {as_typed(way) for way in ways} - {""}),
    }
    return [what for what, (said, declared) in pairs.items() if said != declared]


Followed = tuple[Refusal, Way, Plan]


def followed(spec: ClusterSpec, state: ClusterState, intent: Intent, refusals: Iterable[Refusal]) -> list[Followed]:
    """Give each consent that is advised and may be given at once, and plan again."""
    ways = [(refusal, way) for refusal in refusals for way in refusal.ways if not way.starts]
    given = [(refusal, way, way.consent) for refusal, way in ways if isinstance(way.consent, Consent)]
    return [(refusal, way, decide.plan(spec, state, giving(intent, consent))) for refusal, way, consent in given]


def in_vain(advice: Iterable[Followed]) -> list[str]:
    """Return the consents that are advised and, when they are given, do not fit or change nothing."""
    return [
        f"{refusal.code} advises {as_typed(way)}: {after.code}: {after.saw}"
        for refusal, way, plan in advice
        for after in plan.refusals
        if (after.saw.startswith(f"{as_typed(way)} was given") and after.code == "consent.unfit")
        or (after.code, after.saw) == (refusal.code, refusal.saw)
    ]


def as_typed(way: Way) -> str:
    """Return the consent of a way as its words name it; nothing where it gives none."""
    if way.consent is None:
        return ""
    return way.consent.flag if isinstance(way.consent, type) else str(way.consent)


def giving(intent: Intent, consent: Consent) -> Intent:
    """Give a consent beside those that were given."""
    return replace(intent, consents=intent.consents.adding(consent))
