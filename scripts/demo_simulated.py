"""The demo's stage without hosts: the same commands in this process, on the simulation's cloud, hosts, k3s and time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from demo_cluster import NAMESPACE, facts, objects

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.app import cli
from hetzner_k3s.cli.exits import run
from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, SECRETS
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN

_KINDS = {"ConfigMap": CONFIGMAPS, "Secret": SECRETS, "Deployment": DEPLOYMENTS}


class SimulatedStage:
    """One simulated world on virtual time; `seed` decides every draw in it."""

    place = "the simulation (no hosts: cloud, hosts, etcd and k3s are modelled in this process)"
    pace = "simulated seconds"

    def __init__(self, _folder: Path, latency: str, seed: int = 1) -> None:
        self._opened = wiring.simulation(seed, latency)
        self._world: Place | None = None

    @property
    def _place(self) -> Place:
        if self._world is None:
            raise LookupError("the simulation is not up")
        return self._world

    def seconds(self) -> float:
        """Give the time of this place: the simulation's own."""
        return self._world.seconds() if self._world else 0.0

    def up(self) -> None:
        """Make the world."""
        os.environ["HCLOUD_TOKEN"] = TOKEN
        self._world = self._opened.__enter__()

    def down(self) -> None:
        """End it."""
        if self._world is not None:
            self._world = None
            self._opened.__exit__(None, None, None)

    def command(self, *words: str) -> None:
        """Run a command of `hetzner-k3s`, as its program does, on the simulation's ports."""
        code = run(cli, words)
        if code == 130:
            raise KeyboardInterrupt
        if code:
            raise subprocess.CalledProcessError(code, ("hetzner-k3s", *words))

    def facts(self, config: Path) -> dict[str, Any]:
        """Look at the whole cluster with the product's own eyes."""
        return wiring.run(facts(str(config)))

    def write_objects(self, _kubeconfig: Path) -> None:
        """Write a user's objects through the API of the master that leads."""
        self._place.run(self._write())

    def digest(self, _kubeconfig: Path) -> str:
        """Hash them as the API gives them back."""
        return self._place.run(self._digest())

    def lose(self, name: str, _server_id: str) -> None:
        """Have the server deleted, as an accident would."""
        print(f"(asked of the emulated Hetzner API: DELETE of server {name})", flush=True)
        self._place.happen("lose", name)

    def _api(self) -> Store:
        servers = [host.server for host in self._place.world.site.hosts.values()]
        return next(s.store for s in servers if s is not None and s.store is not None and s.api_ready)

    async def _write(self) -> None:
        await self._api().create(NAMESPACES, {"metadata": {"name": NAMESPACE}}, "")
        for body in objects():
            await self._api().create(_KINDS[str(body["kind"])], body, NAMESPACE)

    async def _digest(self) -> str:
        found: list[tuple[str, ...]] = []
        for kind, resource in _KINDS.items():
            listed, _ = await self._api().list(resource, NAMESPACE)
            found += [(kind, o["metadata"]["uid"], str(o.get("data") or o["spec"])) for o in listed]
        return f"{len(found)} objects, {hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()[:16]}"
