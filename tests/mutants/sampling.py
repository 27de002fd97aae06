"""Which mutants are tried and which tests try them, for `scripts/sampled-mutants`."""

from __future__ import annotations

import ast
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Final

from tests.mutants.operators import Mutant, mutants_of, named

SOURCE: Final = Path("src") / "hetzner_k3s"
SAMPLED: Final = ("adapters", "act", "hosts", "cli", "observe", "reconcile.py")


def texts_of(root: Path) -> dict[str, str]:
    """Read the files that are sampled, by their path within the package."""
    source = root / SOURCE
    places = (source / name for name in SAMPLED)
    files = (file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*.py"))))
    return {str(file.relative_to(source)): file.read_text() for file in files}


def all_of(texts: Mapping[str, str]) -> dict[str, Mutant]:
    """Return every mutant of these files by its description."""
    found = [mutant for file, text in texts.items() for mutant in mutants_of(file, text)]
    return dict(named(found, dict(texts)))


def sample(mutants: Mapping[str, Mutant], count: int, seed: int) -> dict[str, Mutant]:
    """Draw from each file by its share of all places, and within a file from its kinds in turn."""
    chance = random.Random(seed)
    by_file: dict[str, list[str]] = defaultdict(list)
    for words, mutant in mutants.items():
        by_file[mutant.file].append(words)
    drawn = [
        words
        for file, quota in _quotas({file: len(found) for file, found in by_file.items()}, count).items()
        for words in _in_turn(by_file[file], mutants, chance)[:quota]
    ]
    return {words: mutants[words] for words in drawn}


def _quotas(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Share out by size; what rounding leaves goes to the largest remainders."""
    total = sum(sizes.values())
    shares = {name: count * size / total for name, size in sizes.items()}
    quotas = {name: int(share) for name, share in shares.items()}
    left = min(count, total) - sum(quotas.values())
    for name in sorted(shares, key=lambda n: quotas[n] - shares[n])[:left]:
        quotas[name] += 1
    return quotas


def _in_turn(found: list[str], mutants: Mapping[str, Mutant], chance: random.Random) -> list[str]:
    by_kind: dict[str, list[str]] = defaultdict(list)
    for words in chance.sample(found, len(found)):
        by_kind[mutants[words].kind].append(words)
    kinds = list(by_kind.values())
    return [kind[n] for n in range(len(found)) for kind in kinds if n < len(kind)]


@dataclass(frozen=True)
class Noted:
    """What the tests ran on the code as it is: lines of a file to tests, seconds of a test, those that failed."""

    lines: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    seconds: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def tests_of(self, mutant: Mutant, root: Path) -> list[str]:
        """Return the tests that run what a mutant changes, or that read a constant that it changes, cheapest first."""
        found = self._at(mutant.file, [mutant.line]) or self._at(mutant.file, [mutant.statement])
        if mutant.names:
            found = self._mentioning(mutant.names, root / SOURCE) | self._reading(mutant.names, root)
        found = found or self._at(mutant.file, self.lines[mutant.file])  # a line that only an import runs
        return sorted(found - self.failed, key=lambda test: (self.seconds[test], test))

    def tests_in(self, files: tuple[str, ...]) -> list[str]:
        """Return all tests of these files."""
        return [test for test in self.seconds if test.startswith(files) and test not in self.failed]

    def _at(self, file: str, lines: Iterable[int]) -> set[str]:
        return {test for line in lines for test in self.lines[file].get(line, ())}

    def _reading(self, names: frozenset[str], root: Path) -> set[str]:
        """Return the tests in files that mention one of the names: it is read there, and no line of ours runs."""
        files = {test.split("::", maxsplit=1)[0] for test in self.seconds}
        texts = {file: (root / file).read_text() for file in files if (root / file).is_file()}
        reading = tuple(file for file, text in texts.items() if any(re.search(rf"\b{name}\b", text) for name in names))
        return set(self.tests_in(reading)) if reading else set()

    def _mentioning(self, names: frozenset[str], source: Path) -> set[str]:
        """Return the tests that run a line within a function which mentions one of the names, or what is made of it."""
        trees = {str(file.relative_to(source)): ast.parse(file.read_text()) for file in source.rglob("*.py")}
        known: set[str] = set()
        while not names <= known:
            known |= names
            names = frozenset(bound for tree in trees.values() for bound in _made_of(tree, known))
        return {test for file, tree in trees.items() for test in self._at(file, _lines_with(tree, known))}


def _mentions(node: ast.AST, names: set[str]) -> Iterator[ast.expr]:
    for part in ast.walk(node):
        mentioned = (isinstance(part, ast.Name) and part.id in names) or (
            isinstance(part, ast.Attribute) and part.attr in names
        )
        if mentioned:
            assert isinstance(part, ast.expr)
            yield part


def _made_of(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """Give the names that the top of a file binds to something with these names, or decorates with it."""
    for statement in tree.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            mentioned = [part for decorator in statement.decorator_list for part in _mentions(decorator, names)]
            yield from (statement.name for _ in mentioned[:1])
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(_mentions(statement.value, names)):
                yield from (target.id for target in targets if isinstance(target, ast.Name))


def _lines_with(tree: ast.Module, names: set[str]) -> set[int]:
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {part.lineno for node in functions for statement in node.body for part in _mentions(statement, names)}


def read_notes(folder: Path) -> Noted:
    """Put together what each process of pytest has noted."""
    noted = Noted()
    for file in folder.glob("*.json"):
        part = json.loads(file.read_text())
        noted.seconds.update(part["seconds"])
        noted.failed.update(part["failed"])
        for name, lines in part["lines"].items():
            for line, contexts in lines.items():
                noted.lines[name][int(line)].update(context for context in contexts if context)
    _share_fixtures(noted)
    return noted


def _share_fixtures(noted: Noted) -> None:
    """Count what a fixture of a file ran for each test of that file."""
    of_file: dict[str, set[str]] = defaultdict(set)
    for test in noted.seconds:
        of_file[test.split("::", maxsplit=1)[0]].add(test)
    for lines in noted.lines.values():
        for line, contexts in lines.items():
            shared = {context for context in contexts if context.endswith("|shared")}
            lines[line] = contexts - shared
            for context in shared:
                lines[line] |= of_file[context.removesuffix("|shared")]


def within_limit(tests: list[str], seconds: Mapping[str, float], limit: float) -> list[str]:
    """Return the tests that fit into a time; one is always tried."""
    together = accumulate(seconds[test] for test in tests)
    return [test for test, spent in zip(tests, together, strict=True) if spent <= limit or test == tests[0]]
