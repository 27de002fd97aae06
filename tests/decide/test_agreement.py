"""No two refusals contradict each other: a table over all pairs that may stand together (ARCHITECTURE law 9)."""

from __future__ import annotations

import pytest
from tests.decide.agreement import contradictions
from tests.decide.refused import CASES
from tests.decide.world import plan

from hetzner_k3s.model.plan import Refusal, Verb, agreeing

SAID = {
    name: plan(case.state, case.spec, case.intent).refusals
    for name, case in CASES.items()
    if case.intent.verb is Verb.CREATE
}
KEEPING = [refusal for refusals in SAID.values() for refusal in refusals if refusal.keeps_servers]


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_together_agrees(name: str) -> None:
    assert not contradictions(SAID[name])


@pytest.mark.parametrize("name", SAID)
def test_who_keeps_every_server_is_marked(name: str) -> None:
    for refusal in SAID[name]:
        assert not contradictions((refusal,))
        if "elete no server" in refusal.you_can or "elete nothing more" in refusal.you_can:
            assert refusal.keeps_servers, refusal


def test_beside_one_that_keeps_every_server_nobody_offers_a_deletion() -> None:
    one = Refusal(code="a", saw="", why="", you_can="Delete no server.", keeps_servers=True)
    other = Refusal(code="b", saw="", why="", you_can="Look at it.", or_delete="Or delete it at Hetzner.")
    assert [r.you_can for r in agreeing((one, other))] == ["Delete no server.", "Look at it."]
    assert [r.you_can for r in agreeing((other,))] == ["Look at it. Or delete it at Hetzner."]
    assert contradictions((one, other))


def test_somebody_keeps_every_server() -> None:
    assert {"masters.none-healthy", "server.foreign"} <= {refusal.code for refusal in KEEPING}
