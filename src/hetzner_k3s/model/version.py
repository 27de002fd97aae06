"""k3s release tags and their order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

_TAG: Final = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-rc(\d+))?\+k3s(\d+)")
_FINAL: Final = 1 << 30  # a release sorts after each of its candidates


@total_ordering
@dataclass(frozen=True, slots=True)
class K3sVersion:
    """A k3s release, such as `v1.36.3+k3s1`; ordered as k3s upgrades go, candidates (`-rc1`) before their release."""

    major: int
    minor: int
    patch: int
    k3s: int
    candidate: int | None = None

    @classmethod
    def parse(cls, tag: str) -> K3sVersion:
        """Read a release tag.

        Raises:
            ValueError: `tag` is not of the form `vX.Y.Z[-rcN]+k3sN`.
        """
        found = _TAG.fullmatch(tag)
        if found is None:
            raise ValueError(f"{tag!r} is not a k3s release: expected a form such as v1.36.3+k3s1")
        major, minor, patch, candidate, k3s = found.groups()
        return cls(int(major), int(minor), int(patch), int(k3s), int(candidate) if candidate else None)

    def __str__(self) -> str:
        """Return the release tag."""
        candidate = "" if self.candidate is None else f"-rc{self.candidate}"
        return f"v{self.major}.{self.minor}.{self.patch}{candidate}+k3s{self.k3s}"

    def __lt__(self, other: object) -> bool:
        """Check whether this release came before `other`."""
        if not isinstance(other, K3sVersion):
            return NotImplemented
        return self._order() < other._order()

    def _order(self) -> tuple[int, int, int, int, int]:
        # The candidates of +k3s2 come after the release +k3s1, hence k3s before candidate.
        return (self.major, self.minor, self.patch, self.k3s, _FINAL if self.candidate is None else self.candidate)
