"""What commands on hosts print: live and line by line with the host's name before it, or as JSON when one has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hetzner_k3s.model.operations.commands import Stream

NOT_RUN: Final = 255
"""The exit code where a host could not be asked, as that of `ssh`."""
_PALETTE: Final = ("cyan", "green", "magenta", "yellow", "blue")
_LONGEST: Final = 1 << 16
"""Bytes of a line without an end that are held back."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended on a host: its exit status, or None and why it has none."""

    host: str
    status: int | None
    error: str
    seconds: float

    @property
    def code(self) -> int:
        """Return the exit code that stands for it."""
        return NOT_RUN if self.status is None else self.status


class Sink(Protocol):
    """Is told what commands print and how they end."""

    def heard(self, host: str, stream: Stream, piece: bytes) -> None:
        """Take a piece of what was printed."""

    def ended(self, result: Result) -> None:
        """Take note of an end."""


class Lines:
    """Cuts what comes in pieces into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[str]:
        """Take a piece; return the lines that are whole."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LONGEST:
            whole, self._rest = [*whole, self._rest], b""
        return [_decoded(line) for line in whole]

    def end(self) -> list[str]:
        """Return what is left without a line's end."""
        rest, self._rest = self._rest, b""
        return [_decoded(rest)] if rest else []


def _decoded(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


class Prefixed:
    """Writes each line as it comes, with its host's name before it; what a host wrote to stderr goes to stderr.

    Args:
        hosts: all that may be heard of, for the width of the names.
        write: takes a line, what stands before it, and whether it goes to stderr.
        coloured: whether each host's name has a colour of its own.
    """

    def __init__(self, hosts: Sequence[str], write: Callable[[str, str, bool], None], *, coloured: bool) -> None:
        self._write, self._coloured = write, coloured
        self._width = max(map(len, hosts), default=0)
        self._number = {host: number for number, host in enumerate(hosts)}
        self._lines: dict[tuple[str, Stream], Lines] = {}

    def heard(self, host: str, stream: Stream, piece: bytes) -> None:
        """Write the lines that are whole."""
        self._say(host, stream, self._lines.setdefault((host, stream), Lines()).feed(piece))

    def ended(self, result: Result) -> None:
        """Write the last line, where it has no end, and why there is no exit status."""
        for (host, stream), lines in self._lines.items():
            if host == result.host:
                self._say(host, stream, lines.end())
        if result.status is None:
            self._say(result.host, Stream.ERR, [result.error])

    def _say(self, host: str, stream: Stream, lines: Iterable[str]) -> None:
        for line in lines:
            self._write(line, self._prefix(host), stream is Stream.ERR)

    def _prefix(self, host: str) -> str:
        import click

        name = f"{host:<{self._width}} | "
        return click.style(name, fg=_PALETTE[self._number[host] % len(_PALETTE)]) if self._coloured else name


@dataclass(slots=True)
class Documents:
    """Writes one JSON object a host, as it ends (docs/reference/run.schema.json)."""

    write: Callable[[object], None]
    _printed: dict[tuple[str, Stream], list[bytes]] = field(default_factory=dict)

    def heard(self, host: str, stream: Stream, piece: bytes) -> None:
        """Keep a piece."""
        self._printed.setdefault((host, stream), []).append(piece)

    def ended(self, result: Result) -> None:
        """Write the host's object."""
        out, err = (
            b"".join(self._printed.pop((result.host, stream), ())).decode(errors="replace") for stream in Stream
        )
        self.write(
            {
                "schema": 1,
                "host": result.host,
                "status": result.status,
                "error": result.error or None,
                "seconds": round(result.seconds, 3),
                "stdout": out,
                "stderr": err,
            }
        )


def summary(results: Sequence[Result]) -> str:
    """Return in one line how a command ended on all hosts."""
    by_code: dict[int | None, list[str]] = {}
    for result in results:
        by_code.setdefault(result.status, []).append(result.host)
    told = [_ended(code, hosts) for code, hosts in sorted(by_code.items(), key=lambda item: (item[0] is None, item[0]))]
    return "; ".join(told)


def _ended(code: int | None, hosts: Sequence[str]) -> str:
    how = "no exit status from" if code is None else f"exit status {code} on"
    if code == 0:
        return f"{how} {len(hosts)} host{'s' if len(hosts) > 1 else ''}"
    return f"{how} {', '.join(hosts)}"
