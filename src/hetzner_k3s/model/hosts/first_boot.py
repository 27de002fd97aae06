"""What a server was made with for its first boot, remembered in a label, so that a change of the file is seen later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from hetzner_k3s.model.spec import BootSpec

FIELDS: Final = (
    "additional_packages",
    "additional_pre_k3s_commands",
    "additional_post_k3s_commands",
    "grow_root_partition_automatically",
)
"""The keys of the file that act at the first boot alone, in the order of the label's parts."""

_DIGITS: Final = 8


def digits(boot: BootSpec) -> str:
    """Return the value of the label: digits for each of FIELDS, which tell a change and nothing of what was run."""
    return "-".join(_parts(boot))


def changed(boot: BootSpec, label: str) -> Iterator[str]:
    """Return which of FIELDS were others when a server was made; of a label that is not read here, none."""
    made = label.split("-")
    if len(made) == len(FIELDS):
        yield from (name for name, now, then in zip(FIELDS, _parts(boot), made, strict=True) if now != then)


def _parts(boot: BootSpec) -> tuple[str, ...]:
    lists = (boot.packages, boot.pre_k3s_commands, boot.post_k3s_commands)
    return (*map(_hash, lists), str(int(boot.grow_root_partition)))


def _hash(lines: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(lines).encode()).hexdigest()[:_DIGITS]
