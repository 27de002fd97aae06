"""What is asked of a server itself: power, and another type."""

from __future__ import annotations

from typing import Any, Final

from hetzner_k3s.adapters.hetzner.actions import ACTION_WITHIN, Actions
from hetzner_k3s.adapters.hetzner.api import Api

_RESIZED_WITHIN: Final = 900.0
"""Seconds for a change of type: Hetzner copies the disk."""


async def act(
    api: Api,
    actions: Actions,
    server_id: int,
    action: str,
    *,
    body: dict[str, Any] | None = None,
    within: float = ACTION_WITHIN,
) -> None:
    """Ask a server for an action that may be asked for twice, and wait until it has ended (seconds)."""
    answer = await api.repeatable_post(f"/servers/{server_id}/actions/{action}", body or {})
    await actions.finish(answer.child("action"), within=within)


async def change_type(api: Api, actions: Actions, server_id: int, server_type: str) -> None:
    """Rescale a server that is off, without its disk, which could never be made smaller again."""
    body = {"server_type": server_type, "upgrade_disk": False}
    await act(api, actions, server_id, "change_type", body=body, within=_RESIZED_WITHIN)
