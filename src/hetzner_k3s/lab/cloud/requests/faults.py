"""Faults that tests ask for: rules that match a request and change its fate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hetzner_k3s.lab.cloud.requests.endpoint import Answer
from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input
from hetzner_k3s.lab.cloud.requests.fields import Body

_EFFECTS = ("error", "drop", "delay", "incomplete_page", "unavailable")


@dataclass(slots=True)
class Fault:
    """A rule: which requests it hits and what happens to them.

    Args:
        id: number for removal.
        effect: `error` (answer with `code` instead of doing it), `drop` (do it, then cut the connection without an
            answer), `delay` (do it, answer `seconds` later), `incomplete_page` (leave out the last `entries` of a page;
            `total_entries` stays), `unavailable` (the server type is out of stock in the location as long as the rule
            stands).
        method: HTTP method, or "*".
        path: regular expression that the whole path (without `/v1`) must match.
        skip: matching requests that pass before the rule begins to act.
        times: requests it acts on, None for all.
    """

    id: int
    effect: str
    method: str = "*"
    path: str = ".*"
    skip: int = 0
    times: int | None = 1
    code: str = "server_error"
    message: str = "injected by the lab"
    status: int | None = None
    seconds: float = 0.0
    entries: int = 1
    server_type: str = ""
    location: str = ""
    seen: int = field(default=0)
    acted: int = field(default=0)

    def hits(self, method: str, path: str) -> bool:
        """Check whether it acts on this request, and count it."""
        if self.effect == "unavailable" or self.method not in ("*", method) or not re.fullmatch(self.path, path):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.acted >= self.times):
            return False
        self.acted += 1
        return True

    def error(self) -> ApiError:
        """Return the refusal of an `error` rule."""
        return ApiError(self.code, self.message, status=self.status)

    def view(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def read_fault(number: int, body: Body) -> Fault:
    """Read a rule from JSON; the field names are those of `Fault`.

    Raises:
        ApiError: an unknown effect or a wrong value.
    """
    path = body.optional_text("path") or ".*"
    try:
        re.compile(path)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise invalid_input("path", f"is not a regular expression: {error}") from error
    return Fault(
        id=number,
        effect=body.choice("effect", _EFFECTS),
        method=body.optional_text("method") or "*",
        path=path,
        skip=body.optional_integer("skip", 0) or 0,
        times=body.optional_integer("times", 0) if body.has("times") else (None if body.flag("always", False) else 1),
        code=body.optional_text("code") or "server_error",
        message=body.optional_text("message") or "injected by the lab",
        status=body.optional_integer("status", 400, 599),
        seconds=body.number("seconds", 0.0),
        entries=body.optional_integer("entries") or 1,
        server_type=body.optional_text("server_type") or "",
        location=body.optional_text("location") or "",
    )


class Strike:
    """The rules that act on one request."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = faults

    @property
    def delay(self) -> float:
        """Return the seconds by which the answer comes later."""
        return sum(fault.seconds for fault in self._of("delay"))

    @property
    def dropped(self) -> bool:
        """Check whether the answer is lost."""
        return bool(self._of("drop"))

    def refuse(self) -> None:
        """Raise the error that takes the place of the work, if there is one."""
        for fault in self._of("error"):
            raise fault.error()

    def alter(self, answer: Answer) -> Answer:
        """Leave entries out of a page, if a rule says so."""
        missing = sum(fault.entries for fault in self._of("incomplete_page"))
        if not missing or answer.pagination is None or answer.body is None:
            return answer
        cut = {key: value[:-missing] if isinstance(value, list) else value for key, value in answer.body.items()}
        return replace(answer, body=cut)

    def _of(self, effect: str) -> list[Fault]:
        return [fault for fault in self._faults if fault.effect == effect]


class Faults:
    """The rules that stand now."""

    def __init__(self) -> None:
        self.rules: dict[int, Fault] = {}
        self._last = 0

    def add(self, body: Body) -> Fault:
        """Add a rule from JSON."""
        self._last += 1
        fault = read_fault(self._last, body)
        self.rules[fault.id] = fault
        return fault

    def strike(self, method: str, path: str) -> Strike:
        """Return the rules that act on a request."""
        return Strike([fault for fault in self.rules.values() if fault.hits(method, path)])

    def out_of_stock(self, server_type: str, location: str) -> bool:
        """Check whether a rule makes a server type unavailable in a location (an empty field of the rule means any)."""
        rules = (fault for fault in self.rules.values() if fault.effect == "unavailable")
        return any(f.server_type in ("", server_type) and f.location in ("", location) for f in rules)
