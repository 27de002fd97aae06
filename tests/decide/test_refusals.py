"""Every state that is not ours to repair is refused: by its name, with what was seen, why, and what can be done.

The texts stand in `refusals.txt`; after a change of words: `pytest tests/decide --inline-snapshot=fix`.
"""

from __future__ import annotations

import re

import pytest
from inline_snapshot import external_file
from tests.decide.refused import CASES
from tests.decide.world import forecast, plan

from hetzner_k3s.model.plan import Refusal


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_by_its_name(name: str) -> None:
    case = CASES[name]
    assert tuple(r.code for r in plan(case.state, case.spec, case.intent).refusals) == case.codes


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_done_beside_a_refusal(name: str) -> None:
    case = CASES[name]
    shown = forecast(case.state, case.spec, case.intent)
    assert (shown.waves, shown.waits) == ((), ())


@pytest.mark.parametrize("name", CASES)
def test_every_refusal_says_what_was_seen_why_and_what_can_be_done(name: str) -> None:
    case = CASES[name]
    for refusal in plan(case.state, case.spec, case.intent).refusals:
        answers_the_three_questions(refusal)


def answers_the_three_questions(refusal: Refusal) -> None:
    """Demand three sentences without a word of Python."""
    for text in (refusal.saw, refusal.why, refusal.you_can):
        assert re.fullmatch(r"\S.{15,}[.]", text), text
        assert not re.search(r"\b(None|True|False|Unknown|Known|Absent)\b|[A-Za-z]+\(|<|\{|::|/work|Error", text), text


def test_the_words_of_the_refusals() -> None:
    assert "\n\n".join(map(_told, CASES)) + "\n" == external_file("refusals.txt")


def _told(name: str) -> str:
    case = CASES[name]
    return f"# {name}\n" + "\n".join(_text(r) for r in plan(case.state, case.spec, case.intent).refusals)


def _text(refusal: Refusal) -> str:
    settings = "".join(f"  {setting}\n" for setting in refusal.settings)
    return f"{refusal.code}\n{settings}  {refusal.saw}\n  {refusal.why}\n  {refusal.you_can}"
