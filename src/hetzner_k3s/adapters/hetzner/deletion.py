"""Deleting by id: what is absent is success, what is still in use is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hetzner_k3s.adapters.hetzner import translate
from hetzner_k3s.adapters.hetzner.actions import Actions, still_running
from hetzner_k3s.adapters.hetzner.api import Api, Json
from hetzner_k3s.adapters.hetzner.failures import understood
from hetzner_k3s.model.errors import CloudConflict, CloudError, Fate
from hetzner_k3s.model.text.documents import Document

_WITHIN: Final = 180.0
_TAKEN_OFF_AFTER: Final = 5.0
"""Seconds that a firewall needs to come off a selector; it is deleted then, and again where Hetzner says: in use."""
_IN_USE_ATTEMPTS: Final = 8
"""Label selectors and memberships follow a deletion by seconds.

See docs/facts/hetzner-api.md#firewalls, docs/facts/hetzner-api.md#placement-groups.
"""


async def delete(api: Api, actions: Actions, path: str) -> None:
    """Delete the resource at a path (`/networks/42`) and wait for its action, if it has one."""
    answer = await begin_deletion(api, path)
    if answer is not None:
        with understood(f"DELETE {path}", effect=True):
            action = answer.child("action") if "action" in answer else None
        await actions.finish(action, within=_WITHIN)


async def begin_deletion(api: Api, path: str) -> Document | None:
    """Ask for the deletion of the resource at a path, and return the answer; None where there is no such resource."""
    attempt = 0
    while True:
        try:
            return await api.delete(path)
        except CloudConflict:
            if attempt == _IN_USE_ATTEMPTS - 1:
                raise
        except CloudError as failure:
            if failure.code != "not_found":
                raise
            return None
        await api.pause(attempt)
        attempt += 1


async def delete_firewall(api: Api, actions: Actions, firewall_id: int) -> None:
    """Take a firewall off its label selectors, which Hetzner demands, and delete it.

    Raises:
        CloudConflict: it is on servers that exist; to take it off them would open them to the internet.
    """
    path = f"/firewalls/{firewall_id}"
    try:
        selectors = await _selectors_alone(api, path)
    except CloudError as failure:
        if failure.code != "not_found":
            raise
        return
    await _without(api, actions, path, selectors)


async def delete_unused_firewall(api: Api, actions: Actions, firewall_id: int, selectors: Sequence[str]) -> None:
    """Take a firewall off these selectors, and delete it.

    Args:
        selectors: all that it has; whoever asks knows that no server matches them.

    Raises:
        CloudConflict: it is on more than these selectors.
    """
    path = f"/firewalls/{firewall_id}"
    chosen: list[Json] = [{"type": "label_selector", "label_selector": {"selector": each}} for each in selectors]
    await _without(api, actions, path, chosen)


async def _without(api: Api, actions: Actions, path: str, selectors: list[Json]) -> None:
    """Delete a firewall once it is off these selectors; asked sooner, Hetzner says that it is in use."""
    try:
        if selectors:
            answer = await api.repeatable_post(f"{path}/actions/remove_from_resources", {"remove_from": selectors})
            with understood(f"POST {path}/actions/remove_from_resources", effect=True):
                running = still_running(answer.children("actions"))
            await api.sleep(_TAKEN_OFF_AFTER if running else 0.0)
    except CloudError as failure:
        if failure.code not in {"not_found", "firewall_already_removed"}:
            raise
    await delete(api, actions, path)


async def _selectors_alone(api: Api, path: str) -> list[Json]:
    """Return a firewall's label selectors once it is on no server; that follows a server's end by seconds."""
    for attempt in range(_IN_USE_ATTEMPTS):
        answer = await api.get(path)
        with understood(f"GET {path}"):
            applied = answer.child("firewall").children("applied_to")
            servers = translate.covered(applied)
            selectors = [_selector(entry) for entry in applied if not servers]
        if not servers:
            return selectors
        await api.pause(attempt)
    raise CloudConflict(
        f"{path.removeprefix('/')} is on servers that are not deleted with it: {', '.join(map(str, sorted(servers)))}",
        code="resource_in_use",
        fate=Fate.DID_NOT_HAPPEN,
        hint="Run the command again to see whose they are.",
    )


def _selector(entry: Document) -> Json:
    return {"type": entry.text("type"), "label_selector": {"selector": entry.child("label_selector").text("selector")}}
