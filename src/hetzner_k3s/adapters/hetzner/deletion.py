"""Deleting by id: what is absent is success, what is still in use is waited for."""

from __future__ import annotations

from typing import Final

from hetzner_k3s.adapters.hetzner.actions import Actions
from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.model.errors import CloudConflict, CloudError

_WITHIN: Final = 180.0
_IN_USE_ATTEMPTS: Final = 8
"""Label selectors and memberships follow a deletion by seconds (HETZNER_API.md 4.3, 4.5)."""


async def delete(api: Api, actions: Actions, path: str) -> None:
    """Delete the resource at a path (`/servers/42`) and wait for its action, if it has one."""
    for attempt in range(_IN_USE_ATTEMPTS):
        try:
            answer = await api.delete(path)
        except CloudConflict:
            if attempt == _IN_USE_ATTEMPTS - 1:
                raise
        except CloudError as failure:
            if failure.code != "not_found":
                raise
            return
        else:
            await actions.finish(answer.get("action"), within=_WITHIN)
            return
        await api.pause(attempt)


async def delete_firewall(api: Api, actions: Actions, firewall_id: int) -> None:
    """Take a firewall off everything it is applied to, which Hetzner demands before it can be deleted."""
    path = f"/firewalls/{firewall_id}"
    try:
        applied = (await api.get(path))["firewall"]["applied_to"]
        if applied:
            kinds = ("label_selector", "server")
            resources = [{"type": a["type"], a["type"]: a[a["type"]]} for a in applied if a["type"] in kinds]
            answer = await api.repeatable_post(f"{path}/actions/remove_from_resources", {"remove_from": resources})
            await actions.finish(*answer["actions"], within=_WITHIN)
    except CloudError as failure:
        if failure.code not in {"not_found", "firewall_already_removed"}:
            raise
    await delete(api, actions, path)
