"""What a deletion takes, made wrong one proof at a time: a volume is data."""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutation

_BELONGINGS: Final = "decide/lifecycle/deletion/belongings.py"
_DATA: Final = ("tests/decide/test_belongings.py",)

DELETIONS: Final = (
    Mutation(
        law=2,
        what="a volume of which nothing proves whose it is goes too",
        file=_BELONGINGS,
        old="proven = at_ours or volume.id in proofs.named\n",
        new="proven = at_ours or not volume.server\n",
        tests=_DATA,
    ),
    Mutation(
        law=4,
        what="another cluster's API tells whose a volume is",
        file=_BELONGINGS,
        old="if answer.uid == uid]",
        new="]",
        tests=_DATA,
    ),
    Mutation(
        law=6,
        what="a volume at somebody else's server goes too",
        file=_BELONGINGS,
        old="if volume.server in proofs.listed and not at_ours:",
        new="if False:",
        tests=_DATA,
    ),
    Mutation(
        law=6,
        what="the load balancer of a neighbour in the same network goes too",
        file=_BELONGINGS,
        old="(attached and proofs.network_is_ours)",
        new="attached",
        tests=_DATA,
    ),
    Mutation(
        law=6,
        what="what goes after the servers is not marked before",
        file="decide/lifecycle/deletion/teardown.py",
        old="        if not going.marked\n",
        new="        if False\n",
        tests=_DATA,
    ),
)
