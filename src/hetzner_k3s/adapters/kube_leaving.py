"""Our mark on a Node that leaves: cordoned with a note on it, and taken back to what its owner had made of it."""

from __future__ import annotations

from hetzner_k3s.adapters.kube_objects import is_cordoned, node
from hetzner_k3s.adapters.kube_session import MERGE, Session, path_of
from hetzner_k3s.model.kube import Leaving
from hetzner_k3s.model.naming import ANNOTATION_CORDONED_BEFORE, ANNOTATION_LEAVING
from hetzner_k3s.model.text.documents import Document


async def mark(session: Session, name: str, stage: Leaving | None) -> None:
    """Write how far a Node has come, None where it stays, on that very version of it which was read."""
    path = path_of("nodes", name)
    found = await session.get(path)
    version = {"resourceVersion": found.child("metadata").text("resourceVersion")}
    annotations, spec = _taken_back(found) if stage is None else _cordoned(found, stage)
    await session.send("PATCH", path, {"metadata": {**version, "annotations": annotations}, "spec": spec}, MERGE)


def _cordoned(found: Document, stage: Leaving) -> tuple[dict[str, str | None], dict[str, bool | None]]:
    """Return our mark; the first one notes beside it whether the Node's owner had cordoned it."""
    annotations: dict[str, str | None] = {ANNOTATION_LEAVING: stage.value}
    if node(found).leaving is None:
        annotations[ANNOTATION_CORDONED_BEFORE] = "true" if is_cordoned(found) else None
    return annotations, {"unschedulable": True}


def _taken_back(found: Document) -> tuple[dict[str, str | None], dict[str, bool | None]]:
    """Return what takes our mark away, and the cordon with it where that was ours.

    Without a mark it was taken away already: such a call may have worked and its answer been lost.
    """
    noted = found.child("metadata").text_map("annotations")
    ours = ANNOTATION_LEAVING in noted and ANNOTATION_CORDONED_BEFORE not in noted
    spec: dict[str, bool | None] = {"unschedulable": None} if ours else {}
    return {ANNOTATION_LEAVING: None, ANNOTATION_CORDONED_BEFORE: None}, spec
