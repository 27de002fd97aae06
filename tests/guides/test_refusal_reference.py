"""docs/reference/refusals.md is written from the refusals themselves, so what it says stays true.

After a change of words: `pytest tests/guides --inline-snapshot=fix`.
"""

from __future__ import annotations

from collections.abc import Iterator

from inline_snapshot import external_file
from tests.decide.refused import CASES
from tests.decide.world import plan

from hetzner_k3s.model.plan import Refusal

INTRODUCTION = """\
# What each refusal means

<!-- Written by tests/guides/test_refusal_reference.py: pytest tests/guides --inline-snapshot=fix -->

A run that refuses changes nothing and ends with exit code 4. It shows what was seen, why nothing was done, what you can
do, and a code that stays the same when the words change. Below, for each code, the situations that our tests know it
in, as a cluster `prod` would see them. All that is to be refused is shown at once; `hetzner-k3s plan` shows it too.
What `create` does by itself is in [the recovery guide](../guides/recovery.md).
"""


def test_the_reference_of_refusals_says_what_is_said() -> None:
    assert "".join(_chapters()) == external_file("../../docs/reference/refusals.md", format=".txt")


def _chapters() -> Iterator[str]:
    yield INTRODUCTION
    cases = [(name, refusal) for name in CASES for refusal in _refusals(name)]
    for code in sorted({refusal.code for _, refusal in cases}):
        yield f"\n## {code}\n"
        told: dict[Refusal, list[str]] = {}
        for name, refusal in cases:
            if refusal.code == code:
                told.setdefault(refusal, []).append(name)
        yield from (_entry(names, refusal) for refusal, names in told.items())


def _refusals(name: str) -> tuple[Refusal, ...]:
    case = CASES[name]
    return plan(case.state, case.spec, case.intent).refusals


def _entry(names: list[str], refusal: Refusal) -> str:
    settings = "".join(f"- in the file: {setting}\n" for setting in refusal.settings)
    return (
        f"\n**When {'; or '.join(names)}**\n\n{settings}"
        f"- saw: {refusal.saw}\n- why: {refusal.why}\n- you can: {refusal.you_can}\n"
    )
