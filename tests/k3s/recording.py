"""Reading the recordings of a real k3s."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Recorded:
    """A recorded HTTP answer."""

    code: int
    content_type: str
    body: str

    @property
    def json(self) -> Any:
        return json.JSONDecoder().raw_decode(self.body)[0]


def http(path: Path) -> Recorded:
    """Read an answer recorded by `curl -i`."""
    head, _, rest = path.read_text().replace("\r", "").partition("\n\n")
    code = int(re.match(r"HTTP/\S+ (\d+)", head)[1])  # type: ignore[index]  # every recording starts so
    kind = re.search(r"^content-type: (.*)$", head, re.IGNORECASE | re.MULTILINE)
    body = re.sub(r"\n?\[exit \d+\]\n?$", "", rest)
    return Recorded(code, kind[1] if kind else "", body)


def document(path: Path) -> Any:
    """Read the JSON document at the start of a recording."""
    return json.JSONDecoder().raw_decode(path.read_text())[0]


def shape(value: Any) -> Any:
    """Reduce a document to its keys and types."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def messages(text: str) -> list[tuple[str, str]]:
    """List (level, message) of k3s' own lines in a journal or log."""
    return re.findall(r'level=(\w+) msg="?((?:\\.|[^"\\])*)', text)


def line(text: str, start: str) -> str:
    """Give the recorded line (from `level=` on) whose message starts so."""
    rows: list[str] = re.findall(r'level=\w+ msg="(?:\\.|[^"\\])*"', text)
    for found in rows:
        if found.partition('msg="')[2].startswith(start):
            return found
    raise AssertionError(f"no recorded line starts with {start!r}")
