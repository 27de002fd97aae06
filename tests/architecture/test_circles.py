"""No module of the package imports, by whatever way round, itself; what only types need counts as well."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "hetzner_k3s"


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert _circles(_imports(PACKAGE)) == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a", "e"}}
    assert _circles(graph) == [["b", "c"]]


def _imports(package: Path) -> dict[str, set[str]]:
    """Return module -> the modules of the package that it imports."""
    files = {_name(path.relative_to(package.parent)): path for path in package.rglob("*.py")}
    return {name: _imported(path, set(files)) - {name} for name, path in files.items()}


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, known: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names if names <= known else {node.module, *names}
    return found & known


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach one another: Kosaraju's two walks."""
    order: list[str] = []
    seen: set[str] = set()
    for name in sorted(graph):
        _walk(name, graph, seen, order)
    importers: dict[str, set[str]] = {name: {n for n, found in graph.items() if name in found} for name in graph}
    groups: list[list[str]] = []
    seen = set()
    for name in reversed(order):
        group: list[str] = []
        _walk(name, importers, seen, group)
        groups.append(sorted(group))
    return [group for group in groups if len(group) > 1]


def _walk(name: str, graph: dict[str, set[str]], seen: set[str], done: list[str]) -> None:
    """Append all that is reached and not yet seen, each after what it leads to."""
    if name in seen:
        return
    seen.add(name)
    for other in sorted(graph[name]):
        _walk(other, graph, seen, done)
    done.append(name)
