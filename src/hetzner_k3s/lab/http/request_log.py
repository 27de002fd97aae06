"""What was asked of the API: the memory tests count requests in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One answered request; `time` in UNIX seconds, `query` as sent, `dropped` when the answer was lost on purpose."""

    number: int
    time: float
    method: str
    path: str
    query: str
    status: int
    writing: bool
    project: str | None
    correlation_id: str
    dropped: bool

    def view(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)


class RequestLog:
    """The requests since the last reset; numbers go on growing."""

    def __init__(self) -> None:
        self._requests: list[LoggedRequest] = []
        self.last_number = 0

    def next_number(self) -> int:
        """Return the number of the next request."""
        self.last_number += 1
        return self.last_number

    def add(self, request: LoggedRequest) -> None:
        """Remember a request."""
        self._requests.append(request)

    def clear(self) -> None:
        """Forget everything."""
        self._requests.clear()

    def select(
        self, *, after: int = 0, writing: bool | None = None, method: str | None = None, path: str | None = None
    ) -> Iterable[LoggedRequest]:
        """Return the requests with a number over `after` that meet the conditions; `path` is a prefix."""
        for request in self._requests:
            fits = (
                request.number > after
                and writing in (None, request.writing)
                and method in (None, request.method)
                and request.path.startswith(path or "")
            )
            if fits:
                yield request
