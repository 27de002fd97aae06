"""`make demo`: a cluster is made on the embedded cloud, loses master1, and is brought back with nothing lost.

Every command is one that a user could type; what is claimed at the end is asserted, and any difference ends it with
exit code 1. Whatever happens, Ctrl-C too, the lab and everything that it made is taken down. Where real hosts cannot
run (not root, no namespaces, macOS), the same commands tell the same story on the simulation; the first line says so.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from demo_hosts import HostsStage

from hetzner_k3s.lab.realhosts.requirements import missing

ROOT = Path(__file__).resolve().parent.parent
LOST = "demo-master1"


class Stage(Protocol):
    """Where the story is told; `place` and `pace` say where that is and whose seconds are counted."""

    place: str
    pace: str

    def seconds(self) -> float: ...

    def up(self) -> None: ...

    def down(self) -> None: ...

    def command(self, *words: str) -> None: ...

    def facts(self, config: Path) -> dict[str, Any]: ...

    def write_objects(self, kubeconfig: Path) -> None: ...

    def digest(self, kubeconfig: Path) -> str: ...

    def lose(self, name: str, server_id: str) -> None: ...


@dataclass(slots=True)
class Story:
    """The demo under way: its stage, its folder, and how long each part took."""

    stage: Stage
    folder: Path
    times: list[tuple[str, float]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """Give the cluster's file."""
        return self.folder / "cluster.yaml"

    @property
    def kubeconfig(self) -> Path:
        """Give the path of the kubeconfig that `create` writes."""
        return self.folder / "kubeconfig"

    def run(self, verb: str, *options: str) -> None:
        """Run a command on the cluster's file, shown as a user would type it."""
        show(f"hetzner-k3s {' '.join((verb, '--config', 'cluster.yaml', *options))}")
        self.stage.command(verb, "--config", str(self.config), *options)

    def timed(self, what: str, part: Callable[[], None]) -> None:
        """Take the time of a part."""
        began = self.stage.seconds()
        part()
        self.times.append((what, self.stage.seconds() - began))


def show(command: str) -> None:
    """Show a command as a user would type it."""
    print(f"\n\033[1m$ {command}\033[0m" if sys.stdout.isatty() else f"\n$ {command}", flush=True)


def write_files(folder: Path) -> None:
    """Take the example that the README shows, with a key and paths of the demo's own."""
    import asyncssh

    key = folder / "id_ed25519"
    pair = asyncssh.generate_private_key("ssh-ed25519")
    pair.write_private_key(str(key))
    pair.write_public_key(f"{key}.pub")
    key.chmod(0o600)
    example = (ROOT / "examples/cluster-ha.yaml").read_text()
    (folder / "cluster.yaml").write_text(
        example.replace("~/.ssh/id_ed25519", str(key)).replace("./kubeconfig", str(folder / "kubeconfig"))
    )


def tell(story: Story) -> None:
    """Tell the whole story."""
    stage = story.stage
    story.timed("create: 3 masters, 2 workers, load balancer", lambda: story.run("create"))
    before = stage.facts(story.config)
    story.run("status")
    stage.write_objects(story.kubeconfig)
    objects = stage.digest(story.kubeconfig)
    print(f"\nwritten into the cluster: {objects}", flush=True)

    show(f"hcloud server delete {LOST}")
    lost = str(before["servers"][LOST])
    story.timed("master1 deleted at Hetzner", lambda: stage.lose(LOST, lost))
    story.timed("create again: the recovery", lambda: story.run("create"))
    after = stage.facts(story.config)
    story.run("status")
    prove(before, after, objects, stage.digest(story.kubeconfig))
    story.timed("delete", lambda: story.run("delete", "--force"))


def prove(before: dict[str, Any], after: dict[str, Any], was: str, now: str) -> None:
    """Hold what is there against what was there; any difference ends the demo."""
    survivors = [name for name in before["k3s"] if name != LOST]
    claims = {
        "the same CA": before["ca"] == after["ca"],
        "the same kube-system UID": before["uid"] == after["uid"],
        f"the same objects ({now})": was == now,
        f"three voters ({', '.join(map(str, after['voters']))})": len(after["voters"]) == 3 and not after["learners"],
        "another server": before["servers"][LOST] != after["servers"][LOST],
        "all five nodes Ready": list(after["nodes"].values()) == ["Ready"] * 5,
        "k3s of the survivors not restarted": all(before["k3s"][n] == after["k3s"][n] for n in survivors),
    }
    print("\nAfter the loss of master1:")
    for claim, holds in claims.items():
        print(f"  {'yes' if holds else 'NO '}  {claim}")
    sys.stdout.flush()
    if not all(claims.values()):
        sys.exit(f"the demo found a difference:\nbefore {before}\nafter  {after}")


def choose(*, simulated: bool, folder: Path, latency: str) -> tuple[Stage, str]:
    """Give the stage, and the first line that says which one it is and why."""
    lacking = missing()
    if not simulated and not lacking:
        return HostsStage(folder, latency), f"hetzner-k3s demo on {HostsStage.place}"
    from demo_simulated import SimulatedStage

    why = "asked for with --simulated" if simulated else f"real hosts cannot run here, missing: {', '.join(lacking)}"
    return SimulatedStage(folder, latency), f"hetzner-k3s demo on {SimulatedStage.place}; {why}"


def main() -> None:
    """Tell the story, take everything down, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", choices=["instant", "typical"], default="instant")
    parser.add_argument("--simulated", action="store_true", help="without real hosts, although they could run")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hetzner-k3s-demo-"))
    stage, title = choose(simulated=given.simulated, folder=folder, latency=given.latency)
    print(title, flush=True)
    print(f"latency profile: {given.latency}", flush=True)
    story, began = Story(stage, folder), time.monotonic()
    try:
        write_files(folder)
        story.timed("lab up", stage.up)
        tell(story)
    except subprocess.CalledProcessError as failure:
        sys.exit(f"demo: the last command above failed with exit code {failure.returncode}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted, the lab is taken down")
    finally:
        stage.down()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nLatency profile: {given.latency}; {stage.pace}:")
    for what, seconds in story.times:
        print(f"  {seconds:6.1f} s  {what}")
    print(f"  {time.monotonic() - began:6.1f} s  in all, by this machine's clock")


if __name__ == "__main__":
    main()
