"""Complete listings: a page that is missing is not an absence.

See docs/architecture.md#absence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.adapters.hetzner.failures import understood
from hetzner_k3s.model.errors import CloudUnavailable, Fate
from hetzner_k3s.model.text.documents import Document, Malformed

_PAGE: Final = 50
_ATTEMPTS: Final = 4
PAGES_MOST: Final = 200
"""Ten thousand resources of a kind: no project may have as many."""


async def list_all(api: Api, kind: str) -> list[Document]:
    """List every resource of a kind (`servers`, `networks`, …), sorted by id.

    Raises:
        CloudUnavailable: the pages never added up, because the project changes too fast or an answer is wrong.
    """
    for attempt in range(_ATTEMPTS):
        with understood(f"GET /{kind}"):
            pages = await _pages(api, kind)
            entries = {entry.whole("id"): entry for page in pages for entry in page.children(kind)}
            totals = {pagination(page).whole("total_entries") for page in pages}
        if totals == {len(entries)}:
            return [entries[key] for key in sorted(entries)]
        await api.pause(attempt)
    raise CloudUnavailable(
        f"of {' or '.join(map(str, sorted(totals)))} {kind.replace('_', ' ')} it showed {len(entries)}",
        code="incomplete_listing",
        fate=Fate.DID_NOT_HAPPEN,
        hint="Run the command again.",
    )


async def list_pages(api: Api, kind: str, **narrowed: str) -> list[Document]:
    """List once, without proof that nothing is missing: enough to see how something does, never that it is gone.

    Args:
        api: whom to ask.
        kind: as in `list_all`.
        narrowed: query parameters, such as `label_selector`.
    """
    with understood(f"GET /{kind}"):
        return [entry for page in await _pages(api, kind, narrowed) for entry in page.children(kind)]


async def _pages(api: Api, kind: str, narrowed: Mapping[str, str] = MappingProxyType({})) -> list[Document]:
    first = await _page(api, kind, 1, narrowed)
    last = pagination(first).whole_or("last_page", 1)
    if last > PAGES_MOST:
        raise Malformed(f"it has more than {PAGES_MOST} pages")
    return [first, *await asyncio.gather(*(_page(api, kind, number, narrowed) for number in range(2, last + 1)))]


async def _page(api: Api, kind: str, number: int, narrowed: Mapping[str, str]) -> Document:
    return await api.get(f"/{kind}", {**narrowed, "page": number, "per_page": _PAGE, "sort": "id"})


def pagination(page: Document) -> Document:
    """Return what a page of a listing says of all its pages."""
    return page.child("meta").child("pagination")
