"""In which phase a server is while a step works on it, and after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hetzner_k3s.model import steps

PLANNED: Final = "planned"
"""Before its first step."""
AGAIN: Final = "again"
"""After a failure that is not the last try."""
FAILED: Final = "failed"

PHASES: Final[Mapping[type, tuple[str, str]]] = {
    steps.CreateServer: ("ordered", "up"),
    steps.PowerOn: ("powering on", "up"),
    steps.StartMaster: ("starting", "started"),
    steps.StartWorker: ("starting", "started"),
    steps.SecureHost: ("booting", "secured"),
    steps.InstallK3s: ("installing", "installed"),
    steps.InitControlPlane: ("starting", "serving"),
    steps.JoinControlPlane: ("joining", "joined"),
    steps.StartOnDatabase: ("starting", "serving"),
    steps.MarkMember: ("recording", "joined"),
    steps.RenewToken: ("correcting", "corrected"),
    steps.PinCa: ("correcting", "corrected"),
    steps.WipeJoiner: ("clearing", "cleared"),
    steps.RemoveMember: ("removing", "removed"),
    steps.HoldMaster: ("stopping", "stopped"),
    steps.FetchDatabase: ("copying", "copied"),
    steps.FenceMember: ("fencing", "fenced"),
    steps.ResetQuorum: ("resetting", "serving"),
    steps.DeleteNode: ("removing", "removed"),
    steps.JoinWorker: ("joining", "ready"),
    steps.LabelNode: ("labelling", "ready"),
    steps.UnmarkMember: ("leaving", "leaving"),
    steps.UnmarkSurge: ("recording", "ready"),
    steps.RetireMember: ("leaving", "left"),
    steps.CordonNode: ("cordoning", "cordoned"),
    steps.DrainNode: ("draining", "drained"),
    steps.UncordonNode: ("uncordoning", "ready"),
    steps.StageK3s: ("fetching k3s", "k3s fetched"),
    steps.ResizeMaster: ("resizing", "ready"),
    steps.ResizeWorker: ("resizing", "ready"),
    steps.ReconfigureMaster: ("restarting k3s", "ready"),
    steps.ReconfigureWorker: ("restarting k3s", "ready"),
    steps.UploadSnapshot: ("copying", "copied"),
    steps.RestoreSnapshot: ("restoring", "restored"),
    steps.StartRestored: ("starting", "serving"),
    steps.ReconnectWorker: ("joining", "ready"),
    steps.PointWorker: ("correcting", "ready"),
    steps.DeleteServer: ("deleting", "deleted"),
}


def during(step: steps.Step) -> str:
    """Return the phase of a server while a step works on it."""
    return PHASES.get(type(step), ("working", ""))[0]


def after(step: steps.Step) -> str:
    """Return the phase of a server when a step has ended."""
    return PHASES.get(type(step), ("", "done"))[1]
