"""A case of a refusal: a state, and the codes of what must be said about it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.decide.world import CREATE, SPEC

from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState


@dataclass(frozen=True, slots=True)
class Case:
    """A state, and the codes of what must be said about it."""

    state: ClusterState
    codes: tuple[str, ...]
    spec: ClusterSpec = SPEC
    intent: Intent = CREATE


def case(state: ClusterState, *codes: str, spec: ClusterSpec = SPEC, intent: Intent = CREATE) -> Case:
    return Case(state, codes, spec, intent)
