"""Measures the scenes on real hosts of the lab, at latency `typical`: a cluster's whole life, again and again.

The same life with another program, where one is given, and the ratio of both. Real hosts share this machine's cores,
and figures of busy cores lie: so it is told how busy they were.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench import machine, transcribed
from bench.figures import HEAD, Figure, row
from bench.scenes import Part, Scene
from bench.stopwatch import Timed, timed
from bench.tools import ALIKE, OURS, Tool, tools, transcript
from tests.realhosts.cluster import Cluster

from hetzner_k3s.lab.realhosts import lifecycle
from hetzner_k3s.lab.realhosts.handle import LabHandle

_LIFE = (Part.CREATE, Part.NOTHING, Part.RECOVERY, Part.DELETE)
_LONGEST = 900.0
"""Seconds until a run that does not end is ended."""
_REST = 20.0
"""Seconds until a new cluster's leases and conditions have come."""
_MASTER = "demo-master1"

Key = tuple[str, Scene]


class Book:
    """What was measured, by program and scene, and what did not end well."""

    def __init__(self) -> None:
        self.figures: defaultdict[Key, list[Figure]] = defaultdict(list)
        self.failures: list[str] = []

    def table(self, tool: Tool, scenes: Sequence[Scene]) -> str:
        """Return the table of one program."""
        seen = [(scene, found) for scene in scenes if (found := self.figures.get((tool.name, scene)))]
        return f"{tool.name}\n\n{HEAD}{''.join(row(s.name, s.nodes, found) for s, found in seen)}"

    def against(self, tool: Tool, scenes: Sequence[Scene]) -> str:
        """Return how much longer another program took, and how much more it asked, by scene."""
        lines = ["| run | its wall ÷ ours | its requests ÷ ours |\n|---|---|---|\n"]
        for scene in scenes:
            ours, theirs = (self.figures.get((name, scene), []) for name in (OURS.name, tool.name))
            if ours and theirs:
                wall = statistics.median(f.wall for f in theirs) / statistics.median(f.wall for f in ours)
                asked = statistics.median(f.requests for f in theirs) / statistics.median(f.requests for f in ours)
                lines.append(f"| {scene.name} | {wall:.2f} | {asked:.2f} |\n")
        return "".join(lines)


def measured(scenes: Sequence[Scene], runs: int, peer: Path | None) -> str:
    """Measure and return the tables; the lab is gone afterwards, whatever happens. Raises LabError."""
    quiet = machine.busy_cores()
    book, programs = Book(), tools(peer)
    with tempfile.TemporaryDirectory(prefix="hetzner-k3s-bench-") as folder:
        state = Path(folder) / "lab"
        try:
            lab = LabHandle(lifecycle.up(state, "typical", None, say=lambda line: sys.stderr.write(f"{line}\n")))
            for number in range(runs):
                for tool in programs:
                    _live(lab, tool, scenes, Path(folder) / f"{tool.ours:d}-{number}", book)
        finally:
            lifecycle.down(state)
    return _report(book, programs, scenes, quiet)


def _report(book: Book, programs: Sequence[Tool], scenes: Sequence[Scene], quiet: float) -> str:
    busy = sorted(figure.busy for found in book.figures.values() for figure in found if figure.busy is not None)
    spread = f"; {busy[0]:.1f} to {busy[-1]:.1f} cores busy during them, hosts and all" if busy else ""
    parts = [f"Real hosts, latency `typical`; {machine.said(quiet)}{spread}.\n"]
    parts += [book.table(tool, scenes) for tool in programs]
    parts += [book.against(tool, scenes) for tool in programs if not tool.ours]
    parts += ["".join(f"- {failure}\n" for failure in book.failures)] if book.failures else []
    return "\n".join(parts)


def _live(lab: LabHandle, tool: Tool, scenes: Sequence[Scene], folder: Path, book: Book) -> None:
    """Let clusters of all asked shapes live once."""
    for shape in dict.fromkeys(scene.shape for scene in scenes):
        lab.reset()
        place = folder / f"{shape[0]}+{shape[1]}"
        place.mkdir(parents=True)
        cluster = Cluster(lab, place, masters=shape[0], workers=shape[1], more=ALIKE)
        wanted = {scene.part: scene for scene in scenes if scene.shape == shape}
        for part in _LIFE:
            scene = wanted.get(part, Scene(part, *shape))
            if (part in wanted or part is Part.CREATE) and not _measured(cluster, tool, scene, book):
                break
    lab.reset()


def _measured(cluster: Cluster, tool: Tool, scene: Scene, book: Book) -> bool:
    """Measure one run, and tell whether the cluster lives on."""
    lab = cluster.lab
    if scene.part is Part.RECOVERY:
        lab.finish(lab.client.api("DELETE", f"/servers/{lab.servers()[_MASTER]['id']}")["action"])
    lab.client.lab("DELETE", "requests")
    sys.stderr.write(f"{tool.name}: {scene.name}\n")
    ran = timed(tool.start(lab, scene.part, cluster.config), _LONGEST)
    asked = len(lab.requests())
    if (failure := _failure(cluster, scene, ran)) is not None:
        book.failures.append(f"{tool.name}, {scene.name}: {failure} after {ran.wall:.0f} s and {asked} requests")
        sys.stderr.write(f"{book.failures[-1]}\n{(cluster.folder / 'talk').read_text()[-2000:]}\n")
        return False
    critical = _critical(cluster, scene.part) if tool.ours else 0.0
    book.figures[tool.name, scene].append(Figure(ran.wall, critical, asked, ran.cpu, ran.peak_mib, ran.busy))
    if scene.part is Part.CREATE:
        time.sleep(_REST)
    return True


def _failure(cluster: Cluster, scene: Scene, ran: Timed) -> str | None:
    """Return why a run does not count: it did not end well, or the cluster is not what it was told to make."""
    if ran.code is None:
        return "did not end"
    if ran.code:
        return f"ended with {ran.code}"
    if scene.part is Part.DELETE:
        return f"left {left}" if (left := sorted(cluster.lab.servers())) else None
    through = cluster.masters()[-1]  # not the one that was lost
    try:
        voters = {member.name.rpartition("-")[0] for member in cluster.members(through) if not member.learner}
        nodes = [name for name, node in cluster.nodes(through).items() if _is_ready(node)]
    except (AssertionError, ValueError, LookupError) as silence:
        return f"ended well, but {through} does not serve ({silence})"
    if len(voters) != scene.masters or len(nodes) != scene.nodes:
        return f"ended well with {len(voters)} voters and {len(nodes)} Ready nodes"
    return None


def _is_ready(node: dict[str, object]) -> bool:
    status = node.get("status")
    rows = status.get("conditions", ()) if isinstance(status, dict) else ()
    return any(row["type"] == "Ready" and row["status"] == "True" for row in rows)


def _critical(cluster: Cluster, part: Part) -> float:
    if part is Part.NOTHING:
        return 0.0
    return transcribed.of_delete(cluster.lab) if part is Part.DELETE else _of_create(cluster)


def _of_create(cluster: Cluster) -> float:
    return transcribed.of_create(cluster.lab, transcript(cluster.config))
