"""Quorum lost in any shape: whatever is left and whoever is named, no data is lost and no second cluster can live."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.decide import world as w
from tests.decide.disasters import STRANGER, fenced, held, of_lineage, resetting
from tests.properties.safety import violations
from tests.properties.walking import run

from hetzner_k3s import decide
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.host import LogPosition
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState, Rescue

Fate = Callable[[ClusterState, str], ClusterState]

FATES: Final[dict[str, Fate]] = {
    "lost": w.lose,
    "left": lambda state, _name: state,
    "held, its log short": lambda s, n: held(s, n, LogPosition(4, 900)),
    "held, its log long": lambda s, n: held(s, n, LogPosition(5, 900)),
    "held, its log unreadable": lambda s, n: held(s, n, None),
    "fenced": fenced,
    "unreachable": w.unreachable,
    "off": w.off,
    "of another lineage": lambda s, n: of_lineage(s, n, "9999", "8888"),
    "reset already": lambda s, n: of_lineage(s, n, "2222", w.LINEAGE),
    "its database gone": w.database_deleted,
}


@st.composite
def disasters(draw: st.DrawFn) -> tuple[ClusterSpec, ClusterState, Intent, str]:
    """Draw what became of each master, what lies here, what the project shows besides, and who is named."""
    spec = w.a_spec(draw(st.sampled_from([3, 3, 5, 1])), 1)
    state, told = w.healthy(spec), []
    fates = {name: draw(st.sampled_from(list(FATES))) for name in spec.master_names}
    for name in spec.master_names:
        told.append(f"{name} {fates[name]}")
    for name in sorted(spec.master_names, key=lambda n: fates[n] == "lost", reverse=True):
        state = w.without_quorum(state) if fates[name] != "lost" else state
        state = FATES[fates[name]](state, name)
    state = w.without_quorum(state)
    answers: list[Reading[bool]] = [Known(False), Known(True), Unknown("500")]
    state = replace(state, lookups={w.FIRST_MASTER: draw(st.sampled_from(answers))})
    if draw(st.booleans()):
        state, told = w.with_server(state, STRANGER), [*told, "a stranger"]
    copied = draw(st.sampled_from([None, *spec.master_names]))
    if copied is not None:
        rescue = Rescue(server_id=w.server_id_of(copied), server=copied, log=LogPosition(5, 900))
        state = replace(state, local=replace(state.local, rescues=(rescue,)))
    named = draw(st.sampled_from([None, *spec.master_names, spec.master_names[-1]]))
    intent = resetting(named) if named else w.CREATE
    return spec, state, intent, f"{told}, copied {copied}, named {named}"


@settings(deadline=None)
@given(disasters())
def test_no_step_of_a_reset_breaks_what_must_hold(drawn: tuple[ClusterSpec, ClusterState, Intent, str]) -> None:
    spec, state, intent, told = drawn
    assert violations(spec, state, decide.plan(spec, state, intent)) == [], told


@settings(deadline=None)
@given(disasters(), st.integers(0, 2**32))
def test_a_reset_ends_converged_or_says_why_not(
    drawn: tuple[ClusterSpec, ClusterState, Intent, str], seed: int
) -> None:
    spec, state, intent, told = drawn
    last = None
    for seen, plan in run(spec, state, random.Random(seed), intent):
        assert violations(spec, seen, plan) == [], told
        last = plan
    assert last is not None
    assert last.refusals or last.waits or last.settled, told
