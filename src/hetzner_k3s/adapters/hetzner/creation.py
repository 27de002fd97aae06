"""Create or adopt: a name is asked for once, and a lost answer is settled by looking the name up.

See docs/architecture.md#law-6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from hetzner_k3s.adapters.hetzner.api import Api, Json
from hetzner_k3s.adapters.hetzner.failures import understood
from hetzner_k3s.model.errors import CloudConflict, CloudError, CloudUnavailable, Fate
from hetzner_k3s.model.text.documents import Document

_ASKED_AT_MOST: Final = 3
_LOOKS: Final = 4
"""How often a name is looked up after a lost answer before it is asked for again (names are unique: never twice)."""


def carries(labels: Mapping[str, str]) -> Callable[[Document], bool]:
    """Make the test whether a resource carries all labels that were asked for."""
    return lambda found: labels.items() <= found.text_map("labels").items()


async def find(api: Api, kind: str, **exactly: str) -> Document | None:
    """Look a resource up by name (or another unique field)."""
    answer = await api.get(f"/{kind}", exactly)
    with understood(f"GET /{kind}"):
        found = answer.children(kind)
    return found[0] if found else None


async def create_or_adopt(
    api: Api, kind: str, body: Json, is_ours: Callable[[Document], bool], *, patient: bool = False
) -> tuple[Document, Document | None]:
    """Ask for a resource, or take the one of that name if it is ours.

    Args:
        kind: plural, as in the path and in the answer of a listing.
        body: what is asked for, with its `name`.
        is_ours: the test whether a resource of that name is the one that was asked for.
        patient: leaves the last requests that Hetzner takes to what repairs a cluster.

    Returns:
        The resource and the whole answer of the POST; None instead of the answer where the resource was adopted.

    Raises:
        CloudConflict: the name is taken by another.
        CloudError: refused, or three answers were lost and the name is not there.
    """
    for _ in range(_ASKED_AT_MOST):
        try:
            answer = await api.post(f"/{kind}", body, patient=patient)
            with understood(f"POST /{kind}", effect=True):
                made = answer.child(kind.removesuffix("s"))
                made.whole("id")
        except CloudConflict as taken:
            return await _adopt(api, kind, body["name"], is_ours, taken), None
        except CloudUnavailable as failure:
            if failure.fate is Fate.DID_NOT_HAPPEN:
                raise
            found, lost = await _look_up(api, kind, body["name"]), failure
            if found is not None:
                return _if_ours(found, is_ours, failure), None
            continue
        return made, answer
    raise lost


async def _look_up(api: Api, kind: str, name: Any) -> Document | None:
    for attempt in range(_LOOKS):
        found = await find(api, kind, name=name)
        if found is not None:
            return found
        await api.pause(attempt)
    return None


async def _adopt(api: Api, kind: str, name: str, is_ours: Callable[[Document], bool], taken: CloudConflict) -> Document:
    found = await find(api, kind, name=name) if taken.code == "uniqueness_error" else None
    if found is None:
        raise taken
    return _if_ours(found, is_ours, taken)


def _if_ours(found: Document, is_ours: Callable[[Document], bool], failure: CloudError) -> Document:
    with understood("a look-up by name"):
        if is_ours(found):
            return found
        name, number = found.text("name"), found.whole("id")
    raise CloudConflict(
        f"the name {name} is taken by id {number}, which does not carry the labels asked for",
        code="uniqueness_error",
        correlation_id=failure.correlation_id,
        fate=Fate.DID_NOT_HAPPEN,
        hint="Another run may have made it; run the command again.",
    ) from failure
