"""`make demo`: a cluster is made on the embedded cloud, loses master1, and is brought back with nothing lost.

Every command is one that a user could type; what is claimed at the end is asserted, and any difference ends it with
exit code 1. Whatever happens, Ctrl-C too, the lab and everything that it made is taken down.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = str(ROOT / ".venv/bin/hetzner-k3s")
PYTHON = str(ROOT / ".venv/bin/python")
INSIDE = str(ROOT / "scripts/demo_cluster.py")

T = TypeVar("T")


@dataclass(slots=True)
class Story:
    """The demo under way: its folder, its lab, and how long each part took."""

    folder: Path
    latency: str
    times: list[tuple[str, float]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """Give the cluster's file."""
        return self.folder / "cluster.yaml"

    @property
    def kubeconfig(self) -> str:
        """Give the path of the kubeconfig that `create` writes."""
        return str(self.folder / "kubeconfig")

    def lab(self, *command: str) -> None:
        """Run a command of the lab."""
        self.show(f"hetzner-k3s lab {' '.join(command)}")
        subprocess.run([PROGRAM, "lab", command[0], "--state", str(self.folder / "lab"), *command[1:]], check=True)

    def run(self, *command: str, quiet: bool = False) -> str:
        """Run a command at the operator's place in the lab and give what it says on stdout."""
        if not quiet:
            self.show(" ".join(command).replace(PROGRAM, "hetzner-k3s").replace(f"{self.folder}/", ""))
        line = [PROGRAM, "lab", "run", "--state", str(self.folder / "lab"), "--", *command]
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}
        done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True, cwd=self.folder, env=environment)
        return done.stdout

    def look(self, verb: str, path: str) -> str:
        """Look at the cluster from the operator's place."""
        return self.run(PYTHON, INSIDE, verb, path, quiet=True).strip()

    def facts(self) -> dict[str, dict[str, object]]:
        """Look at the whole cluster."""
        facts: dict[str, dict[str, object]] = json.loads(self.look("facts", str(self.config)))
        return facts

    def show(self, command: str) -> None:
        """Show a command as a user would type it."""
        print(f"\n\033[1m$ {command}\033[0m" if sys.stdout.isatty() else f"\n$ {command}", flush=True)

    def timed(self, what: str, part: Callable[[], T]) -> T:
        """Take the time of a part."""
        began = time.monotonic()
        try:
            return part()
        finally:
            self.times.append((what, time.monotonic() - began))


def write_files(folder: Path) -> None:
    """Take the example that the README shows, with a key and paths of the demo's own."""
    key = folder / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    example = (ROOT / "examples/cluster-ha.yaml").read_text()
    (folder / "cluster.yaml").write_text(
        example.replace("~/.ssh/id_ed25519", str(key)).replace("./kubeconfig", str(folder / "kubeconfig"))
    )


def tell(story: Story) -> None:
    """Tell the whole story."""
    create = (PROGRAM, "create", "--config", str(story.config))
    story.timed("lab up", lambda: story.lab("up", "--latency", story.latency))
    story.timed("create: 3 masters, 2 workers, load balancer", lambda: story.run(*create))
    before = story.facts()
    print(story.run(PROGRAM, "status", "--config", str(story.config)), end="")
    story.look("write", story.kubeconfig)
    objects = story.look("digest", story.kubeconfig)
    print(f"\nwritten through the kubeconfig: {objects}")

    lost = str(before["servers"]["demo-master1"])
    story.timed("master1 deleted at Hetzner", lambda: delete_server(story, lost))
    story.timed("create again: the recovery", lambda: story.run(*create))
    after = story.facts()
    print(story.run(PROGRAM, "status", "--config", str(story.config)), end="")
    prove(before, after, objects, story.look("digest", story.kubeconfig))

    delete = (PROGRAM, "delete", "--config", str(story.config), "--force")
    story.timed("delete", lambda: story.run(*delete))


def delete_server(story: Story, server_id: str) -> None:
    """Delete a server with Hetzner's own command, as an accident would, and see it gone: old versions do not wait."""
    story.run("hcloud", "server", "delete", server_id)
    deadline = time.monotonic() + 60
    while server_id in story.run("hcloud", "server", "list", "-o", "noheader", "-o", "columns=id", quiet=True).split():
        if time.monotonic() > deadline:
            sys.exit(f"demo: server {server_id} is still listed a minute after its deletion")
        time.sleep(0.2)


def prove(before: dict[str, dict[str, object]], after: dict[str, dict[str, object]], was: str, now: str) -> None:
    """Hold what is there against what was there; any difference ends the demo."""
    survivors = [name for name in before["k3s"] if name != "demo-master1"]
    claims = {
        "the same CA": before["ca"] == after["ca"],
        "the same kube-system UID": before["uid"] == after["uid"],
        f"the same objects ({now})": was == now,
        f"three voters ({', '.join(map(str, after['voters']))})": len(after["voters"]) == 3 and not after["learners"],
        "another server": before["servers"]["demo-master1"] != after["servers"]["demo-master1"],
        "all five nodes Ready": list(after["nodes"].values()) == ["Ready"] * 5,
        "k3s of the survivors not restarted": all(before["k3s"][n] == after["k3s"][n] for n in survivors),
    }
    print("\nAfter the loss of master1:")
    for claim, holds in claims.items():
        print(f"  {'yes' if holds else 'NO '}  {claim}")
    if not all(claims.values()):
        sys.exit(f"the demo found a difference:\nbefore {before}\nafter  {after}")


def main() -> None:
    """Tell the story, take everything down, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", choices=["instant", "typical"], default="instant")
    latency = parser.parse_args().latency
    print(f"hetzner-k3s demo on the embedded cloud, latency profile: {latency}", flush=True)
    story = Story(Path(tempfile.mkdtemp(prefix="hetzner-k3s-demo-")), latency)
    began = time.monotonic()
    try:
        write_files(story.folder)
        tell(story)
    except subprocess.CalledProcessError as failure:
        sys.exit(f"demo: the last command above failed with exit code {failure.returncode}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted, the lab is taken down")
    finally:
        story.timed("lab down", lambda: story.lab("down"))
        shutil.rmtree(story.folder, ignore_errors=True)
    print(f"\nLatency profile: {latency}")
    for what, seconds in story.times:
        print(f"  {seconds:6.1f} s  {what}")
    print(f"  {time.monotonic() - began:6.1f} s  in all")


if __name__ == "__main__":
    main()
