"""No two refusals contradict each other, and their words say what their data say.

See docs/architecture.md#law-9.

`tests/properties/test_advice.py` asks the same of random worlds.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide import world as w
from tests.decide.agreement import contradictions, followed, in_vain, undeclared
from tests.decide.disasters import resetting
from tests.decide.oddities import all_lost, replacing
from tests.decide.refused import CASES
from tests.decide.world import plan

from hetzner_k3s.decide.view.sides import Side, digits
from hetzner_k3s.model.consents import Keep, Replace
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import EVERY, Refusal, Verb, Way, agreeing

SAID = {
    name: plan(case.state, case.spec, case.intent).refusals
    for name, case in CASES.items()
    if case.intent.verb is Verb.CREATE
}
KEEPING = [refusal for refusals in SAID.values() for refusal in refusals if refusal.keeps]


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_together_agrees(name: str) -> None:
    assert not contradictions(SAID[name])


@pytest.mark.parametrize("name", SAID)
def test_words_and_data_advise_the_same(name: str) -> None:
    for refusal in SAID[name]:
        assert undeclared(refusal) == [], refusal


@pytest.mark.parametrize("name", SAID)
def test_advised_consents_can_be_given(name: str) -> None:
    case = CASES[name]
    assert in_vain(followed(case.spec, case.state, case.intent, SAID[name])) == []


def test_somebody_keeps_every_server() -> None:
    assert {"masters.none-healthy", "server.foreign"} <= {refusal.code for refusal in KEEPING}


_OFFERS = {
    "a deletion": Way(text="Or delete it.", deletes=frozenset({"a"})),
    "a start": Way(text="Or start it.", starts=frozenset({"a"})),
    "a consent": Way(text="Or give `--replace a`.", consent=Replace("a")),
}
_WAITING = Refusal(code="a", saw="", why="", you_can="Wait.")
_FORBIDDING = {
    "a deletion": (replace(_WAITING, keeps=EVERY), replace(_WAITING, keeps=frozenset({"a"}))),
    "a start": (replace(_WAITING, rests=frozenset({"a", "b"})),),
    "a consent": (replace(_WAITING, forbids=frozenset({Replace})),),
}


@pytest.mark.parametrize("what", _OFFERS)
def test_what_another_refusal_forbids_is_not_offered(what: str) -> None:
    offering = Refusal(code="b", saw="", why="", you_can="Look at it.", ways=(_OFFERS[what],))
    for forbidding in _FORBIDDING[what]:
        assert [r.you_can for r in agreeing((forbidding, offering))] == ["Wait.", "Look at it."]
        assert agreeing((forbidding, offering))[1].ways == ()
        assert contradictions((forbidding, offering))


@pytest.mark.parametrize("what", _OFFERS)
def test_what_nobody_forbids_is_offered(what: str) -> None:
    other = Refusal(
        code="a", saw="", why="", you_can="", keeps=frozenset({"b"}), rests=frozenset({"b"}), forbids=frozenset({Keep})
    )
    offering = Refusal(code="b", saw="", why="", you_can="Look at it.", ways=(_OFFERS[what],))
    told = agreeing((other, offering))
    assert told[1].you_can == f"Look at it. {_OFFERS[what].text}"
    assert not contradictions(told)


def test_beside_a_deletion_that_has_begun_nobody_speaks_of_repair() -> None:
    deleting = w.recorded(w.healthy(), replace(w.born_record(), phase=Phase.DELETING))
    for change in (w.unreachable, w.other_identity, w.rebuilt):
        assert w.codes(change(deleting, w.MASTER2)) == ["cluster.deleting"]


def test_nothing_is_replaced_or_reset_before_a_cluster_was_born() -> None:
    unborn = w.forgetful(w.recorded(w.unreachable(w.healthy(), w.MASTER2), w.NO_RECORD))
    assert not any("--replace" in refusal.you_can for refusal in plan(unborn).refusals)
    for intent in (replacing(w.MASTER2), resetting(w.MASTER1)):
        told = [r.saw for r in plan(unborn, intent=intent).refusals if r.code == "consent.unfit"]
        assert told
        assert told[0].endswith("No cluster is recorded as initialized here.")


def test_a_reset_is_not_said_to_be_needless_where_no_data_is_left() -> None:
    told = plan(all_lost(), intent=resetting(w.MASTER1)).refusals
    assert not any("Enough masters" in refusal.saw for refusal in told)


def test_a_side_that_shares_its_digits_with_another_is_not_offered() -> None:
    one, other = (Side((), ("ca", "uid", ""), (voter,)) for voter in ("aaaaaaaa1", "aaaaaaaa2"))
    assert digits(one, (one, other)) == ""
    assert digits(one, (one, replace(other, voters=("bbbbbbbb2",)))) == "aaaaaaaa"
