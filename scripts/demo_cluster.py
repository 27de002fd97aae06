"""Looks at the demo's cluster from the operator's place; run by `demo_hosts.py` through `hetzner-k3s lab run`.

demo_cluster.py facts  CONFIG     CA, UID, members, nodes and the start of each master's k3s, as JSON
demo_cluster.py write  KUBECONFIG twenty ConfigMaps, two Secrets and a Deployment
demo_cluster.py digest KUBECONFIG a hash over all of them, as the API gives them back
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

NAMESPACE = "demo"


async def facts(config: str) -> dict[str, object]:
    """Look at the cluster with the product's own eyes."""
    from hetzner_k3s.cli import wiring
    from hetzner_k3s.config.loader import load
    from hetzner_k3s.model import lookup
    from hetzner_k3s.model.plan import Verb
    from hetzner_k3s.observe import observe

    spec = load(Path(config), os.environ).spec
    async with wiring.open_session(spec) as session:
        state = await observe(session.ports, spec, Verb.CREATE)
    masters = {s.name: f for s in lookup.owned_masters(spec.name, state.view) if (f := state.facts(s.id))}
    kube = next(iter(k for s in state.kube if (k := state.kube_of(s))))
    seen = next(iter(masters.values()))
    return {
        "servers": {s.name: s.id for s in lookup.owned_servers(spec.name, state.view)},
        "ca": seen.disk.server_ca,
        "uid": kube.uid,
        "voters": sorted(m.name for m in seen.etcd.members or () if not m.learner),
        "learners": sorted(m.name for m in seen.etcd.members or () if m.learner),
        "nodes": {n.name: "Ready" if n.ready else "NotReady" for n in kube.nodes},
        "k3s": {name: [f.server_unit.main_pid, f.server_unit.restarts] for name, f in masters.items()},
    }


def objects() -> list[dict[str, object]]:
    """Give what a user would miss: twenty ConfigMaps, two Secrets and a Deployment."""

    def meta(name: str) -> dict[str, str]:
        return {"name": name, "namespace": NAMESPACE}

    maps: list[dict[str, object]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(f"note-{n}"), "data": {"text": f"kept {n}"}}
        for n in range(20)
    ]
    secrets: list[dict[str, object]] = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta(f"secret-{n}"), "stringData": {"word": f"swordfish{n}"}}
        for n in range(2)
    ]
    labels = {"app": "web"}
    container = {"name": "web", "image": "registry.example/web:1"}
    deployment: dict[str, object] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta("web"),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    return [*maps, *secrets, deployment]


def write(kubeconfig: str) -> None:
    """Write the objects as any client would, with the kubeconfig that `create` left."""
    from lightkube import Client, KubeConfig, codecs
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import Namespace

    client = Client(config=KubeConfig.from_file(kubeconfig), field_manager="demo")
    client.apply(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
    for entry in objects():
        client.apply(codecs.from_dict(entry))


def digest(kubeconfig: str) -> str:
    """Hash name, uid and content of every object."""
    from lightkube import Client, KubeConfig
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import ConfigMap, Secret

    client = Client(config=KubeConfig.from_file(kubeconfig))
    found: list[tuple[str, ...]] = []
    kinds: tuple[Any, ...] = (ConfigMap, Secret, Deployment)
    for kind in kinds:
        objects = (entry.to_dict() for entry in client.list(kind, namespace=NAMESPACE))
        found += [(kind.__name__, o["metadata"]["uid"], str(o.get("data") or o["spec"])) for o in objects]
    return f"{len(found)} objects, {hashlib.sha256(json.dumps(sorted(found)).encode()).hexdigest()[:16]}"


def main() -> None:
    """Do what the first argument says, on the file that the second names."""
    verb, path = sys.argv[1:]
    if verb == "facts":
        print(json.dumps(asyncio.run(facts(path))))
    elif verb == "write":
        write(path)
    else:
        print(digest(path))


if __name__ == "__main__":
    main()
