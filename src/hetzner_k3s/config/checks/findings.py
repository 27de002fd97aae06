"""What a check says about a setting, before it is known where in the file that setting stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hetzner_k3s.model.text.settings import KeyPath, Severity

if TYPE_CHECKING:
    from hetzner_k3s.config.schema.file import Configuration
    from hetzner_k3s.config.schema.pools import Pool


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark on the setting `key`.

    `depends` are further settings the check read: when one of them is wrong by itself, the remark would be noise.
    `of_key` places it at the key's name instead of its value.
    """

    key: KeyPath
    message: str
    severity: Severity = "error"
    depends: tuple[KeyPath, ...] = ()
    of_key: bool = False

    def touches(self, broken: Iterable[KeyPath]) -> bool:
        """Check whether one of the `broken` settings is among those the check read."""
        read = (self.key, *self.depends)
        return any(_within(a, b) or _within(b, a) for a in read for b in broken)


Check = Callable[["Configuration"], Iterator[Finding]]


def pools(configuration: Configuration) -> Iterator[tuple[KeyPath, Pool]]:
    """Return every pool with its place in the file, the masters' first."""
    yield ("masters_pool",), configuration.masters_pool
    for index, pool in enumerate(configuration.worker_node_pools):
        yield ("worker_node_pools", index), pool


def _within(inner: KeyPath, outer: KeyPath) -> bool:
    return inner[: len(outer)] == outer
