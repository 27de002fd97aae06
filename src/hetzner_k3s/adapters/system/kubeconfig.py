"""What a kubeconfig file tells of a cluster of ours."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hetzner_k3s.hosts.ca_bundle import ca_hash
from hetzner_k3s.model import naming
from hetzner_k3s.model.state import UNREADABLE


@dataclass(frozen=True, slots=True)
class KubeconfigEvidence:
    """CA hash (None: no context of the cluster; `UNREADABLE`: cannot tell) and context name -> API URL."""

    ca: str | None = None
    servers: Mapping[str, str] = field(default_factory=dict)
    others: bool = False
    """Whether there are contexts of other clusters."""


def read_kubeconfig(path: Path, cluster: str) -> KubeconfigEvidence:
    """Read the contexts that are called as ours are: `<cluster>` and its masters' names; never raises."""
    try:
        document = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return _evidence(document or {}, cluster)
    except FileNotFoundError:
        return KubeconfigEvidence()
    except (OSError, ValueError, YAMLError, TypeError, KeyError, AttributeError, RecursionError):
        return KubeconfigEvidence(ca=UNREADABLE)


def _evidence(document: Mapping[str, Any], cluster: str) -> KubeconfigEvidence:
    clusters = {entry["name"]: entry["cluster"] for entry in document.get("clusters") or ()}
    contexts = {entry["name"]: clusters[entry["context"]["cluster"]] for entry in document.get("contexts") or ()}
    master = naming.master_name_pattern(cluster)
    ours = {name: where for name, where in contexts.items() if name == cluster or master.fullmatch(name)}
    authorities = {_ca_hash(where) for where in ours.values()}
    return KubeconfigEvidence(
        ca=next(iter(authorities), None) if len(authorities) < 2 else UNREADABLE,
        servers={name: where["server"] for name, where in ours.items()},
        others=len(ours) < len(contexts),
    )


def _ca_hash(where: Mapping[str, Any]) -> str:
    data = where.get("certificate-authority-data")
    return ca_hash(base64.b64decode(data)) if data else UNREADABLE
