"""Small wrong changes to a Python file, found in its syntax tree and made in its text.

Passed over: docstrings, annotations (`cast` and `TypeVar` too), what stands under `if TYPE_CHECKING`, imports,
`__all__`, the patterns of `case`, and prose: a text that holds a blank is read by people, and its wording is no
behaviour. A name, key, path or flag holds none.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, ...]]] = {
    ast.Lt: ("<=", ">="),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<="),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
_ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.BitOr: "&",
    ast.BitAnd: "|",
}
_TWINS: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, order=True)
class Mutant:
    """One wrong change to `file`, between two offsets of its text.

    Args:
        line: where it stands, from 1.
        kind: the operator.
        within: the class and function that it is in; empty at the top of a file.
        statement: the line that the statement around it begins on.
        names: what carries the change elsewhere when the line runs at import; empty within a function.
    """

    file: str
    line: int
    start: int
    end: int
    new: str
    kind: str
    within: str = ""
    statement: int = field(default=0, compare=False)
    names: frozenset[str] = field(default=frozenset(), compare=False)

    def applied(self, text: str) -> str:
        """Return the file's text with the change."""
        return text[: self.start] + self.new + text[self.end :]

    def told(self, text: str) -> str:
        """Return what is changed, on one line: file, function, before and after.

        It names no line number, so that a table of mutants lasts while the code around them moves.
        """
        first, last = text.rfind("\n", 0, self.start) + 1, text.find("\n", self.end)
        last = len(text) if last == -1 else last
        before = " ".join(text[first:last].split())
        after = " ".join((text[first : self.start] + self.new + text[self.end : last]).split())
        return f"{self.file} {self.within or '-'}: {before} -> {after}"


def mutants_of(file: str, text: str) -> list[Mutant]:
    """Return every mutant of a file, in the order of its text, each once."""
    finder = _Finder(file, text)
    finder.visit(ast.parse(text))
    return sorted(set(finder.found))


class _Finder(ast.NodeVisitor):
    """Walks a tree and collects; `_scope` is where it is, `_names` what an import-time line binds."""

    def __init__(self, file: str, text: str) -> None:
        self.found: list[Mutant] = []
        self._file = file
        self._lines = [line.encode() for line in text.splitlines(keepends=True)]
        self._begins = [0]
        for line in text.splitlines(keepends=True):
            self._begins.append(self._begins[-1] + len(line))
        self._text = text
        self._scope: list[str] = []
        self._names: frozenset[str] | None = frozenset()
        self._statement = 0

    def visit(self, node: ast.AST) -> None:
        """Visit a node, and know the statement that it is in."""
        outside = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node.lineno
        super().visit(node)
        self._statement = outside

    # where a thing stands

    def _offset(self, line: int, column: int) -> int:
        return self._begins[line - 1] + len(self._lines[line - 1][:column].decode())

    def _span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _source(self, node: ast.expr | ast.stmt) -> str:
        start, end = self._span(node)
        return self._text[start:end]

    def _add(self, kind: str, start: int, end: int, new: str) -> None:
        if self._text[start:end] == new:
            return
        line = self._text.count("\n", 0, start) + 1
        names = frozenset() if self._names is None else self._names
        within = ".".join(self._scope)
        self.found.append(Mutant(self._file, line, start, end, new, kind, within, self._statement, names))

    def _replace(self, kind: str, node: ast.expr | ast.stmt, new: str) -> None:
        self._add(kind, *self._span(node), new)

    # what is passed over, and where we are

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._within(node, node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._statement = node.body[-1].lineno  # the body runs with a default, its own line ran at import
        self.visit_arguments(node.args)
        outside, self._names = self._names, None
        self._within(node, node.body)
        self._names = outside

    def _within(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, body: list[ast.stmt]) -> None:
        self._scope.append(node.name)
        for statement in body:
            self.visit(statement)
        self._scope.pop()

    def _default(self, default: ast.expr) -> None:
        """Change a default argument; the line runs at import, the function's own lines show it."""
        before = len(self.found)
        outside, self._names = self._names, None
        self.visit(default)
        self._names = outside
        self.found[before:] = [
            replace(mutant, kind="default argument", line=self._statement) for mutant in self.found[before:]
        ]

    def visit_Import(self, node: ast.Import) -> None:
        pass

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Empty it where it is no prose; Python 3.11 does not say where its parts stand."""
        if not any(isinstance(part, ast.Constant) and " " in str(part.value) for part in node.values):
            self._replace("text emptied", node, '""')

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return
        self._dropped(node, node.targets)
        self._binding(node.targets, [node.value])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._dropped(node, [node.target])
            self._binding([node.target], [node.value])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._replace("statement dropped", node, "pass")
        self.generic_visit(node)

    def _dropped(self, node: ast.stmt, targets: list[ast.expr]) -> None:
        """Drop what an attribute or an item is set to; without a local name the code would not even run."""
        if all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets):
            self._replace("statement dropped", node, "pass")

    def _binding(self, targets: list[ast.expr], values: list[ast.expr]) -> None:
        outside = self._names
        if outside is not None:
            bound = (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            self._names = outside | frozenset(bound)
        for value in values:
            self.visit(value)
        self._names = outside

    # statements

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        called = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(called, ast.Call):
            self._replace("awaited call dropped" if called is not node.value else "statement dropped", node, "pass")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self._replace("None returned", node.value, "None")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace("raise dropped", node, "pass")
        if node.exc is not None:
            self.visit(node.exc)

    def visit_Break(self, node: ast.Break) -> None:
        self._replace("loop control", node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._replace("loop control", node, "break")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if isinstance(node.type, ast.Tuple):
            for element in node.type.elts:
                kept = ", ".join(self._source(other) for other in node.type.elts if other is not element)
                self._replace("exception not caught", node.type, f"({kept},)")
        for statement in node.body:
            self.visit(statement)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self._condition(node.test)
        if node.orelse and not _is_elif(node, self._text, self._span):
            self._swap(node)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._condition(node.test)
            self.generic_visit(node)
            return
        for statement in node.body:
            self.visit(statement)

    def _swap(self, node: ast.If) -> None:
        """Swap the branches of an if, each whole: from its first statement to its last."""
        first = (self._span(node.body[0])[0], self._span(node.body[-1])[1])
        second = (self._span(node.orelse[0])[0], self._span(node.orelse[-1])[1])
        between = self._text[first[1] : second[0]]
        new = self._text[slice(*second)] + between + self._text[slice(*first)]
        self._add("branches swapped", first[0], second[1], new)

    # expressions

    def visit_IfExp(self, node: ast.IfExp) -> None:
        body, test, other = (self._source(part) for part in (node.body, node.test, node.orelse))
        self._replace("branches swapped", node, f"({other}) if ({test}) else ({body})")
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._condition(test)
        self.generic_visit(node)

    def _condition(self, test: ast.expr) -> None:
        """Negate a condition that is neither a comparison nor a `not`: those have operators of their own."""
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        if not negated and not (isinstance(test, ast.Compare) and len(test.ops) == 1):
            self._replace("condition negated", test, f"not ({self._source(test)})")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace("not removed", node, f"({self._source(node.operand)})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word = " or " if isinstance(node.op, ast.And) else " and "
        joined = word.join(f"({self._source(value)})" for value in node.values)
        self._replace("and/or swapped", node, f"({joined})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for number, operator in enumerate(node.ops):
            start, end = self._span(operands[number])[1], self._span(operands[number + 1])[0]
            opening = self._text[start:end]
            for new in _COMPARISONS[type(operator)]:
                old = _word(operator)
                self._add("comparison changed", start, end, opening.replace(old, new, 1))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        new = _ARITHMETIC.get(type(node.op))
        if new is not None:
            left, right = self._source(node.left), self._source(node.right)
            self._replace("arithmetic changed", node, f"(({left}) {new} ({right}))")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in {"TypeVar", "cast"}:
            for value in node.args[1:] if node.func.id == "cast" else ():
                self.visit(value)
            return
        if isinstance(node.func, ast.Name) and node.func.id in _TWINS:
            self._replace("twin called", node.func, _TWINS[node.func.id])
        for keyword in node.keywords:
            if keyword.arg is not None and len(node.keywords) + len(node.args) > 1:
                self._argument(node, keyword)
        self.generic_visit(node)

    def _argument(self, node: ast.Call, keyword: ast.keyword) -> None:
        """Drop a named argument, with the comma before or after it."""
        start, end = self._span(keyword)
        closing = self._span(node)[1] - 1
        comma = self._text.find(",", end, closing)
        if comma != -1 and not self._text[end:comma].strip():
            end = comma + 1
        self._add("argument dropped", start, end, "")

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_arguments(node.args)
        outside, self._names = self._names, None
        self.visit(node.body)
        self._names = outside

    def visit_Constant(self, node: ast.Constant) -> None:
        match node.value:
            case bool():
                self._replace("constant changed", node, str(not node.value))
            case int() | float():
                self._replace("constant changed", node, repr(node.value + 1))
            case str() if " " not in node.value and "\n" not in node.value:
                self._replace("text emptied", node, '""' if node.value else '"mutant"')
            case bytes():
                self._replace("text emptied", node, 'b""' if node.value else 'b"mutant"')

    def visit_MatchValue(self, node: ast.MatchValue) -> None:
        pass

    def visit_arguments(self, node: ast.arguments) -> None:
        for default in (*node.defaults, *node.kw_defaults):
            if default is not None:
                self._default(default)


def _word(operator: ast.cmpop) -> str:
    words = {"Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!="}
    words |= {"Is": "is", "IsNot": "is not", "In": "in", "NotIn": "not in"}
    return words[type(operator).__name__]


def _is_elif(node: ast.If, text: str, span: Callable[[ast.expr | ast.stmt], tuple[int, int]]) -> bool:
    start, _ = span(node.orelse[0])
    return isinstance(node.orelse[0], ast.If) and text.startswith("elif", start)


def named(mutants: list[Mutant], texts: dict[str, str]) -> Iterator[tuple[str, Mutant]]:
    """Give each mutant with its description; of those that read alike the later ones carry a number."""
    seen: dict[str, int] = {}
    for mutant in mutants:
        words = mutant.told(texts[mutant.file])
        seen[words] = seen.get(words, 0) + 1
        yield (words if seen[words] == 1 else f"{words} #{seen[words]}"), mutant
