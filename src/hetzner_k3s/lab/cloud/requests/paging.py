"""Sorting and paging of listings (docs/facts/hetzner-api.md#paging)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hetzner_k3s.lab.cloud import limits
from hetzner_k3s.lab.cloud.requests.errors import invalid_input
from hetzner_k3s.lab.cloud.requests.fields import JsonObject

T = TypeVar("T")
SortKeys = Mapping[str, Callable[[T], Any]]


class Query:
    """The query parameters of a request; array parameters are repeated, never comma-joined."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)

    def first(self, name: str) -> str | None:
        """Return a parameter's first non-empty value, or None."""
        return next((value for key, value in self.pairs if key == name and value), None)

    def all(self, name: str) -> list[str]:
        """Return a parameter's non-empty values."""
        return [value for key, value in self.pairs if key == name and value]

    def integer(self, name: str, default: int) -> int:
        """Return a positive integer."""
        text = self.first(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and int(text) >= 1):
            raise invalid_input(name, "must be a positive integer")
        return int(text)


@dataclass(frozen=True, slots=True)
class Pagination:
    """Where a page lies in its listing."""

    page: int
    per_page: int
    total: int

    @property
    def last(self) -> int:
        """Return the number of the last page; an empty listing has one."""
        return max(1, -(-self.total // self.per_page))

    @property
    def previous(self) -> int | None:
        """Return the page before this one."""
        return self.page - 1 if self.page > 1 else None

    @property
    def next(self) -> int | None:
        """Return the page after this one."""
        return self.page + 1 if self.page < self.last else None

    def view(self) -> JsonObject:
        """Return the JSON object that clients find under `meta`."""
        return {
            "pagination": {
                "page": self.page,
                "per_page": self.per_page,
                "previous_page": self.previous,
                "next_page": self.next,
                "last_page": self.last,
                "total_entries": self.total,
            }
        }

    def links(self) -> list[tuple[str, int]]:
        """Give relation and page number of each page that a `Link` header names."""
        relations = (("prev", self.previous), ("next", self.next), ("last", self.last))
        return [(relation, page) for relation, page in relations if page is not None]


def paginate(items: Sequence[T], query: Query) -> tuple[Sequence[T], Pagination]:
    """Cut out the asked page; beyond the end it is empty, and `per_page` over 50 is cut to 50."""
    per_page = min(limits.PER_PAGE, query.integer("per_page", limits.DEFAULT_PER_PAGE))
    page = query.integer("page", 1)
    return items[(page - 1) * per_page : page * per_page], Pagination(page, per_page, len(items))


def sort(items: Sequence[T], query: Query, keys: SortKeys[T]) -> list[T]:
    """Order by the `sort` parameters (`field[:asc|:desc]`, the first is the most significant), then by id."""
    ordered = sorted(items, key=keys["id"])
    for text in reversed(query.all("sort")):
        name, _, direction = text.partition(":")
        if name not in keys or direction not in ("", "asc", "desc"):
            raise invalid_input("sort", f"cannot sort by {text!r}")
        ordered.sort(key=keys[name], reverse=direction == "desc")
    return ordered
