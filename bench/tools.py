"""The programs that make clusters on the lab's hosts: ours, and another one by HETZNER_K3S_PEER (hetzner-k3s 2.x)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.scenes import Part
from tests.realhosts.cluster import PROGRAM

from hetzner_k3s.adapters.system.transcripts import transcripts
from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.internet import place

ALIKE = """\
config_format_version: "1"
addons:
  cluster_autoscaler:
    enabled: false
"""
"""What both are told beside the cluster's shape: 2.x wants the version, and the lab has no autoscaler to install."""

_WORDS = {Part.DELETE: ("delete", "--force")}


@dataclass(frozen=True, slots=True)
class Tool:
    """A program, and how it is shown in tables."""

    name: str
    program: tuple[str, ...]
    ours: bool

    def start(self, lab: LabHandle, part: Part, config: Path) -> subprocess.Popen[str]:
        """Start it on a cluster's file, at the operator's place; what it says goes to a file beside that."""
        folder, sites = config.parent, lab.running.state.internet
        words = [*self.program, *_WORDS.get(part, ("create",)), "--config", str(config)]
        more = {"XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder)}
        with (folder / "talk").open("a") as talk:
            return lab.popen(
                words if self.ours else place.entering(sites, words),
                env=more if self.ours else more | place.environment(sites),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=talk,
                stderr=talk,
            )


OURS = Tool("hetzner-k3s", tuple(PROGRAM), ours=True)


def tools(peer: Path | None) -> tuple[Tool, ...]:
    """Return ours, and the other one where there is one."""
    return (OURS,) if peer is None else (OURS, Tool(f"{peer.name}, the peer", (str(peer.resolve()),), ours=False))


def transcript(config: Path) -> Path:
    """Return the transcript of our last run on a cluster's file."""
    return next(
        found for folder in (config.parent / "state").rglob("transcripts") for found in transcripts(folder.parent)
    )
