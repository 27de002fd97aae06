"""What `scripts/sampled-mutants` changes, draws and tries: asked of small texts, and of the product unrun."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from tests.mutants.operators import Mutant, mutants_of
from tests.mutants.remembered import forget
from tests.mutants.sampling import SOURCE, Noted, all_of, sample, texts_of, within_limit
from tests.mutants.survivors import REASONS

from hetzner_k3s.hosts import shell

_ROOT = Path(__file__).parents[2]
_TEXTS = texts_of(_ROOT)
_ALL = all_of(_TEXTS)


def changes(text: str) -> set[str]:
    """Return what the mutants make of a function of one line, or of a text of several."""
    return {mutant.applied(text) for mutant in mutants_of("x.py", text)}


@pytest.mark.parametrize(
    ("text", "mutated"),
    [
        ("x = a < b", {"x = a <= b", "x = a >= b"}),
        ("x = a is not b", {"x = a is b"}),
        ("x = a not in b", {"x = a in b"}),
        ("x = not a", {"x = (a)"}),
        ("x = a and b and c", {"x = ((a) or (b) or (c))"}),
        ("x = a + b", {"x = ((a) - (b))"}),
        ("x = 5", {"x = 6"}),
        ("x = 'ä', 0.5", {'x = "", 0.5', "x = 'ä', 1.5"}),
        ("x = True", {"x = False"}),
        ("x = ''", {'x = "mutant"'}),
        ("x = a if b else c", {"x = (c) if (b) else (a)"}),
        ("x = any(a)", {"x = all(a)"}),
        ("if a:\n  b\nelse:\n  c", {"if not (a):\n  b\nelse:\n  c", "if a:\n  c\nelse:\n  b"}),
        ("x = [a for a in b if a.c]", {"x = [a for a in b if not (a.c)]"}),
        ("for a in b:\n  break", {"for a in b:\n  continue"}),
        ("try:\n  a\nexcept (B, C):\n  raise", {
            "try:\n  a\nexcept (B,):\n  raise", "try:\n  a\nexcept (C,):\n  raise", "try:\n  a\nexcept (B, C):\n  pass"
        }),
        ("x.a = b", {"pass"}),
        ("x += y", {"pass"}),
        ("f(a, b=c)", {"pass", "f(a, )"}),
        ("async def f():\n  await g()", {"async def f():\n  pass"}),
        ("def f(a: int = 1): return a", {"def f(a: int = 2): return a", "def f(a: int = 1): return None"}),
    ],
)  # fmt: skip
def test_a_mutant_changes_one_thing(text: str, mutated: set[str]) -> None:
    assert changes(text) == mutated


@pytest.mark.parametrize(
    "text",
    [
        '"""Said of a module."""',
        "def f() -> 'int':\n  'said'",
        "import a.b",
        "if TYPE_CHECKING:\n  x = 5",
        "__all__ = ['x']",
        "x: 'int' = y",
        "x = 'two words'",
        "x = f'two {words}'",
        "T = TypeVar('T', bound='x')",
        "match x:\n  case 5:\n    pass",
    ],
)
def test_what_is_passed_over_has_no_mutant(text: str) -> None:
    assert not changes(text)


def test_every_mutant_of_the_product_is_a_program_and_another_one() -> None:
    drawn = sample(_ALL, 30, seed=3)
    for mutant in drawn.values():
        changed = mutant.applied(_TEXTS[mutant.file])
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(_TEXTS[mutant.file])), mutant


def test_a_sample_is_spread_over_files_and_the_same_each_time() -> None:
    drawn = sample(_ALL, 300, seed=1)
    assert len(drawn) == 300
    assert drawn == sample(_ALL, 300, seed=1)
    assert drawn.keys() != sample(_ALL, 300, seed=2).keys()
    places, taken = (Counter(m.file for m in some.values()) for some in (_ALL, drawn))
    assert all(abs(taken[file] - 300 * places[file] / len(_ALL)) < 1 for file in _TEXTS)


def test_a_mutant_is_named_without_its_line() -> None:
    once, twice = "def f():\n  return 5\n", "def f():\n  return 5\n  return 5\n"
    assert all_of({"x.py": once}).keys() == all_of({"x.py": f"\n\n{once}"}).keys()
    assert "x.py f: return 5 -> return 6 #2" in all_of({"x.py": twice})


def test_the_tests_of_a_line_are_the_cheapest_first_without_those_that_fail_anyway() -> None:
    noted = Noted(seconds={"slow": 9, "quick": 1, "red": 0}, failed={"red"})
    noted.lines["x.py"][2] = {"slow", "quick", "red"}
    mutant = Mutant("x.py", 3, 0, 1, "", "kind", statement=2)
    assert noted.tests_of(mutant, _ROOT) == ["quick", "slow"]


def _that_try_the_first_of(root: Path, module: str, user: str) -> list[str]:
    """Give the tests of the first mutant of a module that one test imports, and whose user's second line one runs."""
    place = root / SOURCE
    place.mkdir(parents=True)
    (place / "x.py").write_text(module)
    (place / "y.py").write_text(user)
    noted = Noted(seconds={"imports": 0, "asks": 1})
    noted.lines["x.py"][1] = {"imports"}
    noted.lines["y.py"][2] = {"asks"}
    return noted.tests_of(next(iter(mutants_of("x.py", module))), root)


def test_a_constant_is_tried_by_the_tests_of_what_mentions_it(tmp_path: Path) -> None:
    assert _that_try_the_first_of(tmp_path, "A = 5\nB = A\n", "def f():\n    return x.B\n") == ["asks"]


def test_a_table_is_tried_by_the_tests_of_what_it_decorates(tmp_path: Path) -> None:
    """Seen: a command that cannot be loaded survived, for the group that has the table is what tests run."""
    table = "A = {'b': 'c'}\n@group(A)\ndef cli(): pass\n"
    assert _that_try_the_first_of(tmp_path, table, "def f():\n    return run(cli)\n") == ["asks"]


def test_what_a_function_remembers_is_forgotten_before_a_test() -> None:
    """Seen: lines of a cached function were noted for the first test alone that called it, and it was a poor one."""
    before = shell.script("unit")
    forget()
    assert shell.script.cache_info().currsize == 0
    assert shell.script("unit") == before


def test_what_only_an_import_runs_is_tried_by_the_tests_of_its_file() -> None:
    """Seen: a function that makes a table at import returned nothing, and no test was asked."""
    noted = Noted(seconds={"asks": 0})
    noted.lines["x.py"][9] = {"asks"}
    assert noted.tests_of(Mutant("x.py", 3, 0, 1, "", "kind", statement=2), _ROOT) == ["asks"]


def test_a_constant_is_tried_by_the_tests_that_read_it(tmp_path: Path) -> None:
    """Seen: a cap that a test holds against a table survived, for no line of ours runs when it is read."""
    place = tmp_path / SOURCE
    place.mkdir(parents=True)
    (place / "x.py").write_text("A = 5\n")
    for name, text in (("reads.py", "assert x.A == 5"), ("other.py", "assert x.AA == 5")):
        (tmp_path / name).write_text(text)
    noted = Noted(seconds={"reads.py::one": 0, "other.py::one": 0})
    constant = next(iter(mutants_of("x.py", (place / "x.py").read_text())))
    assert noted.tests_of(constant, tmp_path) == ["reads.py::one"]


def test_a_mutant_has_no_more_than_its_time() -> None:
    seconds = {"a": 1.0, "b": 3.0, "c": 8.0, "d": 90.0}
    assert within_limit(["a", "b", "c", "d"], seconds, limit=60) == ["a", "b", "c"]
    assert within_limit(["d"], seconds, limit=60) == ["d"]
    assert within_limit([], seconds, limit=60) == []


def test_a_survivor_that_has_a_reason_is_still_a_mutant() -> None:
    """What was rewritten since is no longer excused."""
    assert not REASONS.keys() - _ALL.keys()
    assert all(REASONS.values())
