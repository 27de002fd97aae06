"""Changes labels, and tells each change as a step's outcome carries it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hetzner_k3s.act.context import Context, LabelChange


async def merge(context: Context, kind: str, resource_id: int, labels: Mapping[str, str | None]) -> LabelChange:
    """Set labels on a resource (None removes one); `kind` is as `Cloud.merge_labels` takes it."""
    await context.ports.cloud.merge_labels(kind, resource_id, labels)
    return LabelChange(kind, resource_id, labels)


async def take_off(context: Context, server_id: int, names: Iterable[str]) -> LabelChange:
    """Take labels off a server."""
    return await merge(context, "server", server_id, dict.fromkeys(names))
