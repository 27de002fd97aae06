"""What is said of refusals is written from the refusals themselves, so it stays true: the reference, and `explain`.

After a change of words: `pytest tests/guides --inline-snapshot=fix`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from inline_snapshot import external_file
from tests.decide.refused import CASES
from tests.decide.test_api import silent
from tests.decide.world import healthy, plan

from hetzner_k3s.model.plan import Refusal

AFTER_A_WAIT = {"the Kubernetes API of a healthy etcd stays silent": silent(healthy())}
"""What is refused only when something that was waited for did not come."""

SOURCE = Path(__file__).parents[2] / "src" / "hetzner_k3s"

INTRODUCTION = """\
# What each refusal means

<!-- Written by tests/guides/test_refusal_reference.py: pytest tests/guides --inline-snapshot=fix -->

A run that refuses changes nothing and ends with exit code 4. It shows what was seen, why nothing was done, what you can
do, and a code that stays the same when the words change. Below, for each code, the situations that our tests know it
in, as a cluster `prod` would see them; `hetzner-k3s explain CODE` prints the same without a network. All that is to be
refused is shown at once; `hetzner-k3s plan` shows it too. What `create` does by itself is in [the recovery
guide](../guides/recovery.md).
"""


def test_the_reference_of_refusals_says_what_is_said() -> None:
    assert "".join(_chapters()) == external_file("../../docs/reference/refusals.md", format=".txt")


def test_the_package_explains_what_the_reference_says() -> None:
    written = external_file("../../src/hetzner_k3s/cli/refusals.json", format=".txt")
    assert json.dumps(_explanations(), indent=1, ensure_ascii=False) + "\n" == written


def test_every_code_of_the_program_is_explained() -> None:
    assert set(_codes()) - set(_explanations()) == set()


def _codes() -> Iterator[str]:
    """Return the codes that the program gives to refusals, as literals or by the name of a constant."""
    trees = [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")]
    constants = {
        target.id: node.value.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "Refusal":
            code = next(keyword.value for keyword in call.keywords if keyword.arg == "code")
            if isinstance(code, ast.Constant):
                yield str(code.value)
            elif isinstance(code, ast.Name) and code.id in constants:
                yield constants[code.id]


def _explanations() -> dict[str, list[dict[str, object]]]:
    """Return, by code, what `explain` knows: one entry for all situations in which the same is said."""
    return {
        code: [
            {
                "when": names,
                "settings": [str(setting) for setting in refusal.settings],
                "saw": refusal.saw,
                "why": refusal.why,
                "you_can": refusal.you_can,
            }
            for refusal, names in told.items()
        ]
        for code, told in _told().items()
    }


@cache
def _told() -> dict[str, dict[Refusal, list[str]]]:
    told: dict[str, dict[Refusal, list[str]]] = {}
    refusals = {name: plan(case.state, case.spec, case.intent).refusals for name, case in CASES.items()}
    for name, state in AFTER_A_WAIT.items():
        refusals[name] = tuple(wait.otherwise for wait in plan(state).waits if wait.otherwise)
    for name, refused in refusals.items():
        for refusal in refused:
            told.setdefault(refusal.code, {}).setdefault(refusal, []).append(name)
    return dict(sorted(told.items()))


def _chapters() -> Iterator[str]:
    yield INTRODUCTION
    for code, told in _told().items():
        yield f"\n## {code}\n"
        yield from (_entry(names, refusal) for refusal, names in told.items())


def _entry(names: list[str], refusal: Refusal) -> str:
    settings = "".join(f"- in the file: {setting}\n" for setting in refusal.settings)
    return (
        f"\n**When {'; or '.join(names)}**\n\n{settings}"
        f"- saw: {refusal.saw}\n- why: {refusal.why}\n- you can: {refusal.you_can}\n"
    )
