"""The bytes of the file as a tree of plain values, each with its place (ruamel.yaml composes, we only walk).

Values stay text here: whether `1` is a number or a name is decided by the key it belongs to, as in the Crystal tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.model.text.settings import Diagnostic, KeyPath, Position, dotted

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 40
MAX_VALUES: Final = 50_000
"""How many values aliases may expand to: a file of 300 bytes can describe billions."""

_HALVES: Final = re.compile("[\ud800-\udfff]")

Tree = dict[str, "Value"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text of the file; `plain` when it stood without quotes, so that `true` or `3` may mean more than text."""

    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """Check whether nothing was written."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


Value = Scalar | list["Value"] | dict[str, "Value"]


@dataclass(slots=True)
class Document:
    """The file's tree and where each key and each value stands."""

    path: str
    root: Tree = field(default_factory=dict)
    keys: dict[KeyPath, Position] = field(default_factory=dict)
    values: dict[KeyPath, Position] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    empty: list[KeyPath] = field(default_factory=list)
    """Keys with nothing after them: they count as left out, and are not in the tree."""

    def holds(self, key: KeyPath) -> bool:
        """Check whether the file gives a setting a value."""
        return key in self.values and key not in self.empty

    def position(self, key: KeyPath, *, of_key: bool = False) -> Position:
        """Find the place of a setting, of its key with `of_key`; of the nearest parent when it is not in the file."""
        tables = (self.keys, self.values) if of_key else (self.values, self.keys)
        for length in range(len(key), 0, -1):
            for table in tables:
                if found := table.get(key[:length]):
                    return found
            tables = (self.keys, self.values)
        return Position()


def read(path: Path, shown: str) -> Document:
    """Read a configuration file; `shown` is its name in messages.

    Raises:
        ConfigError: it cannot be read, is no text, is no YAML or no mapping.
    """
    return parsed(_decode(_read_bytes(path, shown), shown), shown)


def parsed(text: str, shown: str) -> Document:
    """Read a configuration from its text; see `read`."""
    try:
        node = _compose(text, shown)
        return _Walk(shown).document(node)
    except RecursionError:
        raise _failure(shown, f"nested more than {MAX_DEPTH} levels deep") from None


def _failure(shown: str, message: str, position: Position = Position()) -> ConfigError:  # noqa: B008 (frozen)
    return ConfigError([Diagnostic(shown, position, "", message)])


def _read_bytes(path: Path, shown: str) -> bytes:
    try:
        if path.is_dir():
            raise _failure(shown, "is a directory; expected a YAML file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _failure(shown, "no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise _failure(shown, f"cannot be read: {reason or error}") from None
    if len(data) > MAX_BYTES:
        raise _failure(shown, f"is larger than {MAX_BYTES // 1024} KiB; this is no cluster configuration")
    return data


def _decode(data: bytes, shown: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise _failure(shown, "is not UTF-8 text", Position(line, column)) from None


def _compose(text: str, shown: str) -> Node:
    try:
        node: Node | None = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise _failure(shown, *_syntax(error, text)) from None
    except (YAMLError, ValueError, OverflowError, AttributeError, AssertionError, KeyError, IndexError) as error:
        # The pure parser lets a few of these through on input no editor writes (odd directives, control characters).
        detail = (str(error) or type(error).__name__).splitlines()[0]
        raise _failure(shown, f"is not valid YAML: {detail}") from None
    if node is None:
        raise _failure(shown, "is empty; expected a cluster configuration")
    return node


def _syntax(error: MarkedYAMLError, text: str) -> tuple[str, Position]:
    mark = error.problem_mark or error.context_mark
    place = _position(mark) if mark else Position()
    line = text.splitlines()[place.line - 1 : place.line]
    indent = line[0][: len(line[0]) - len(line[0].lstrip())] if line else ""
    if "\t" in indent:
        return "indented with a tab; YAML wants spaces", Position(place.line, indent.index("\t") + 1)
    problem = error.problem or error.context or "syntax error"
    return f"is not valid YAML: {problem.splitlines()[0]}", place


def _position(mark: StringMark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


class _Walk:
    """One walk over the composed nodes; a class because places, findings and the count of values grow together."""

    def __init__(self, shown: str) -> None:
        self._document = Document(shown)
        self._count = 0

    def document(self, node: Node) -> Document:
        if not isinstance(node, MappingNode):
            raise _failure(
                self._document.path, f"expected settings (`key: value`), got {_kind(node)}", self._start(node)
            )
        self._document.root = self._mapping(node, ())
        return self._document

    def _start(self, node: Node) -> Position:
        return _position(node.start_mark)

    def _value(self, node: Node, key: KeyPath) -> Value:
        self._count += 1
        if len(key) > MAX_DEPTH:
            raise _failure(self._document.path, f"nested more than {MAX_DEPTH} levels deep", self._start(node))
        if self._count > MAX_VALUES:
            raise _failure(self._document.path, f"aliases expand to more than {MAX_VALUES} values", self._start(node))
        self._document.values[key] = self._start(node)
        if isinstance(node, MappingNode):
            return self._mapping(node, key)
        if isinstance(node, SequenceNode):
            return [self._value(item, (*key, index)) for index, item in enumerate(node.value)]
        return Scalar(self._whole(str(node.value), key, node), plain=getattr(node, "style", None) is None)

    def _whole(self, text: str, key: KeyPath, node: Node) -> str:
        """Return a text without halves of characters, which YAML can write (`"\\ud800"`) and no file name can hold."""
        if _HALVES.search(text):
            self._report(key, "holds half of a character (one of \\ud800 to \\udfff)", node)
        return _HALVES.sub("\ufffd", text)

    def _mapping(self, node: MappingNode, key: KeyPath) -> Tree:
        """Return the mapping's own pairs and what its merge keys (`<<`) add; its own pairs win."""
        tree: Tree = {}
        for name_node, value_node in self._pairs(node, key):
            name = name_node.value
            child = (*key, name)
            self._document.keys[child] = self._start(name_node)
            value = self._value(value_node, child)
            if isinstance(value, Scalar) and value.is_null:
                self._document.empty.append(child)
            else:
                tree[name] = value
        return tree

    def _pairs(self, node: MappingNode, key: KeyPath) -> Iterator[tuple[ScalarNode, Node]]:
        seen: dict[str, ScalarNode] = {}
        merged: list[Node] = []
        for name_node, value_node in node.value:
            if not isinstance(name_node, ScalarNode):
                self._report(key, "a key must be plain text", name_node)
            elif _HALVES.search(name_node.value):
                self._report(key, "a key holds half of a character", name_node)
            elif name_node.value == "<<" and name_node.style is None:
                merged.append(value_node)
            elif first := seen.get(name_node.value):
                line = self._start(first).line
                self._report((*key, name_node.value), f"given twice, first on line {line}", name_node)
            else:
                seen[name_node.value] = name_node
                yield name_node, value_node
        for source in merged:
            for name_node, value_node in self._merge_source(source, key):
                if name_node.value not in seen:
                    seen[name_node.value] = name_node
                    yield name_node, value_node

    def _merge_source(self, node: Node, key: KeyPath) -> Iterator[tuple[ScalarNode, Node]]:
        self._count += 1
        if len(key) > MAX_DEPTH or self._count > MAX_VALUES:
            raise _failure(self._document.path, "merge keys (`<<`) go in circles or too deep", self._start(node))
        if isinstance(node, MappingNode):
            yield from self._pairs(node, (*key, "<<"))
        elif isinstance(node, SequenceNode):
            for item in node.value:
                yield from self._merge_source(item, (*key, "<<"))
        else:
            self._report((*key, "<<"), "a merge key takes a mapping (`<<: *anchor`)", node)

    def _report(self, key: KeyPath, message: str, node: Node) -> None:
        self._document.diagnostics.append(Diagnostic(self._document.path, self._start(node), dotted(key), message))


def _kind(node: Node) -> str:
    """Name what stands at a node, for messages."""
    if isinstance(node, SequenceNode):
        return "a list"
    return "a single value" if isinstance(node, ScalarNode) else "a mapping"
