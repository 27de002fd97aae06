"""The house is built as docs/architecture.md says: contracts, budgets, words and tables of contents."""

from __future__ import annotations

import ast
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import get_args

import pytest
from importlinter.cli import lint_imports

from hetzner_k3s import decide
from hetzner_k3s.decide import consents, program
from hetzner_k3s.decide.view.situations import Situation
from hetzner_k3s.model.consents import KINDS
from hetzner_k3s.model.plan import Verb

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "hetzner_k3s"
MODULES = sorted(SOURCE.rglob("*.py"))
CHECKS = (*consents.CHECKS, *consents.ON_DATABASE_CHECKS)
CONCERNS = tuple(import_module(m.name) for m in pkgutil.walk_packages(decide.__path__, f"{decide.__name__}."))

FUNCTION_LINES = 40
FILE_LINES = 400
FOLDER_MODULES = 20


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        text = path.read_text()
        if text.strip():
            yield str(path.relative_to(SOURCE)), ast.parse(text)


TREES = dict(_trees())


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_import_contracts_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    pytest.importorskip("deptry", reason="deptry is not installed here: scripts/setup brings what `dev` declares")
    beside = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [str(ROOT / "scripts/dependencies"), "--no-ansi"]
    told = subprocess.run(command, env=beside, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def _of_signature(module: ModuleType, *types: str, returns: set[str]) -> Iterator[FunctionType]:
    """Return the rules of a module: what takes a context, beside it values of these types, and answers so."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        signature = inspect.get_annotations(function)
        local = function.__module__ == module.__name__ and not name.startswith("_")
        taken = [kind for parameter, kind in signature.items() if parameter not in {"context", "return"}]
        if local and next(iter(signature)) == "context" and taken == [*types] and signature["return"] in returns:
            yield function


PROGRAMS = tuple(program.PROGRAM.values())
GATES = {*CHECKS, *(gate for p in PROGRAMS for gate in (*p.gates, *p.before_the_end))}


def test_every_gate_is_in_a_program() -> None:
    written = {gate for module in CONCERNS for gate in _of_signature(module, returns={"tuple[Refusal, ...]"})}
    assert written == {gate for gate in GATES if not isinstance(gate, consents.Fits)}


def test_what_is_asked_of_a_consent_is_asked_where_it_is_given() -> None:
    for kind in KINDS:
        written = {
            check
            for module in CONCERNS
            for check in _of_signature(module, kind.__name__, returns={"tuple[Refusal, ...]"})
        }
        assert written == {gate.asked for gate in GATES if isinstance(gate, consents.Fits) and gate.kind is kind}


def test_every_move_is_in_a_program() -> None:
    written = {move for module in CONCERNS for move in _of_signature(module, returns={"Proposal | None", "Proposal"})}
    assert written == {move for p in PROGRAMS for move in (*p.before_all, *p.control_plane, *p.moves)}


def test_no_program_names_a_rule_twice() -> None:
    for p in PROGRAMS:
        assert max(Counter(p.gates).values()) == 1
        assert max(Counter((*p.before_all, *p.control_plane, *p.moves)).values(), default=1) == 1


def test_every_situation_has_a_program_for_every_verb() -> None:
    assert set(program.PROGRAM) == {(verb, situation) for verb in Verb for situation in get_args(Situation)}


def test_the_loop_knows_no_step_by_name() -> None:
    """What it has to know of one, model/steps/traits.py and the step's outcome say."""
    named = [
        module
        for node in ast.walk(TREES["reconcile.py"])
        for module in _imports(node)
        if module.startswith("hetzner_k3s.model.steps")
    ]
    assert named == []


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{name}: {f.name} has {lines} lines"
        for name, tree in TREES.items()
        for f in _functions(tree)
        if (lines := (f.end_lineno or 0) - f.lineno + 1) > FUNCTION_LINES
    ]
    assert long == []


def test_no_file_is_longer_than_a_chapter() -> None:
    assert [str(path) for path in MODULES if len(path.read_text().splitlines()) > FILE_LINES] == []


def test_no_folder_holds_more_modules_than_a_list_that_is_read_at_a_glance() -> None:
    modules = Counter(str(path.parent.relative_to(SOURCE)) for path in MODULES if path.name != "__init__.py")
    assert [f"{folder}: {count}" for folder, count in modules.items() if count > FOLDER_MODULES] == []


def test_no_module_is_named_after_nothing() -> None:
    empty_words = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}
    tracked = [path for path in _tracked() if path.suffix in {".py", ".sh"}]
    assert [str(path) for path in tracked if empty_words & set(re.split(r"[_-]", path.stem))] == []


def test_nothing_is_mocked() -> None:
    word = "unittest" + ".mock"
    assert [str(path) for path in _tracked() if path.suffix == ".py" and word in path.read_text()] == []


def test_only_the_clock_of_an_adapter_and_the_lab_may_sleep() -> None:
    sleeping = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        if not name.startswith(("adapters/", "lab/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and isinstance(node.value, ast.Name)
        if node.value.id in {"time", "asyncio", "anyio"}
    ]
    assert sleeping == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in TREES.items() if ast.get_docstring(tree) is None] == []


def test_every_public_function_and_class_says_what_it_does() -> None:
    spoken_for = {name for tree in TREES.values() for name in _documented_by_protocols(tree)}
    silent = [f"{name}: {what}" for name, tree in TREES.items() for what in _undocumented(tree, "", spoken_for)]
    assert silent == []


def _documented_by_protocols(tree: ast.Module) -> Iterator[str]:
    """Give the methods that a Protocol describes: who implements one need not say it again."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
            yield from (f.name for f in node.body if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef))


def _undocumented(node: ast.Module | ast.ClassDef, prefix: str, spoken_for: set[str]) -> Iterator[str]:
    for child in node.body:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or child.name.startswith("_"):
            continue
        is_method = isinstance(node, ast.ClassDef) and not isinstance(child, ast.ClassDef)
        if ast.get_docstring(child) is None and not (is_method and child.name in spoken_for):
            yield prefix + child.name
        if isinstance(child, ast.ClassDef):
            yield from _undocumented(child, f"{prefix}{child.name}.", spoken_for)


def test_no_file_names_a_package_host_or_a_path_of_the_machine_it_was_written_on() -> None:
    hosts = ("deb.debian", "security.debian", "snapshot.debian", "pypi", "files.pythonhosted", "proxy.golang")
    words = [*(f"{host}.org" for host in hosts), "registry.npmjs" + ".org", "/" + "work/", str(ROOT)]
    named = [f"{path.relative_to(ROOT)}: {word}" for path in _tracked() for word in words if word in _text(path)]
    assert named == []


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: which files belong to the project is unknown")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")
