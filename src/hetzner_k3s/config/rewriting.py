"""The one value of the user's file that we ever change: `k3s_version`, after an upgrade. All else stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

_KEY = "k3s_version"


class NotRewritten(Exception):
    """The file stays as it is; the text says why, as a clause."""


def write_release(path: Path, version: str) -> None:
    """Put a release into a file; comments, layout, line ends, mode and what a link leads to stay.

    Raises:
        NotRewritten: it cannot be written, or its `k3s_version` stands elsewhere (an alias, a merged key).
    """
    place = path.resolve()
    try:
        text = place.read_bytes().decode("utf-8")
        changed = with_release(text, version)
        if changed != text:
            _replace(place, changed.encode())
    except OSError as error:
        raise NotRewritten(f"it cannot be written: {error.strerror or error}") from error


def with_release(text: str, version: str) -> str:
    """Return a file's text with another release as `k3s_version`, in the quotes that it has.

    Raises:
        NotRewritten: the value does not stand there.
    """
    value = _value(text)
    begins, ends = value.start_mark.index, value.end_mark.index
    written = text[begins:ends]
    if written.strip("'\"") != value.value:
        raise NotRewritten(f"its {_KEY} is no plain text there")
    quote = written[0] if written[0] in "'\"" else ""
    return f"{text[:begins]}{quote}{version}{quote}{text[ends:]}"


def _value(text: str) -> ScalarNode:
    try:
        root: Node | None = YAML(typ="rt", pure=True).compose(text)
    except YAMLError as error:
        raise NotRewritten("it cannot be read any more") from error
    pairs = root.value if isinstance(root, MappingNode) else []
    found = [(key, value) for key, value in pairs if isinstance(key, ScalarNode) and key.value == _KEY]
    if len(found) != 1:
        raise NotRewritten(f"it has no {_KEY} of its own")
    key, value = found[0]
    if not isinstance(value, ScalarNode) or value.anchor or value.start_mark.index < key.end_mark.index:
        raise NotRewritten(f"its {_KEY} is used elsewhere in it, or taken from elsewhere")
    return value


def _replace(place: Path, content: bytes) -> None:
    """Write beside it and rename: the file is old or new, whole, whatever happens."""
    beside = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        with beside.open("xb") as file:
            os.fchmod(file.fileno(), place.stat().st_mode & 0o7777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
