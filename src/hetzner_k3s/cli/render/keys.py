"""The page that says, for every key of the file, what a change of it leads to (`scripts/generate-config-reference`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hetzner_k3s.decide.desired.keys import KEYS

_HEAD: Final = """\
<!-- Made by scripts/generate-config-reference from decide/desired/keys.py. Do not edit. -->
# What a change of each key leads to

How each key of the file is compared with a cluster that lives, and what ends a difference: `apply` is done by `create`;
`restart`, `resize`, `replace` and `upgrade` are named and left as they are; `fixed` cannot change in a cluster's life.
[Changing the file of a living cluster](../guides/changing.md) says what each of them means.

| key | a difference ends by | compared with |
|---|---|---|"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *_rows(), ""])


def _rows() -> Iterator[str]:
    for key, comparison in sorted(KEYS.items()):
        remedy = "not compared" if comparison.remedy is None else f"`{comparison.remedy.value}`"
        yield f"| `{key}` | {remedy} | {comparison.how} |"
