"""A kubeconfig file that may hold other clusters, too: what it tells of ours, and how ours is written into it.

Contexts of ours are those that are called as 2.6 calls them: `<cluster>`, and its masters' names. All others, with the
clusters and users that they name, stay as they are.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hetzner_k3s.hosts.ca_bundle import ca_hash
from hetzner_k3s.model import naming
from hetzner_k3s.model.state import UNREADABLE

_LISTS = ("clusters", "contexts", "users")


@dataclass(frozen=True, slots=True)
class KubeconfigEvidence:
    """CA hash (None: no context of the cluster; `UNREADABLE`: cannot tell) and context name -> API URL."""

    ca: str | None = None
    servers: Mapping[str, str] = field(default_factory=dict)
    others: bool = False
    """Whether there is anything of other clusters."""


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
    """Read a document; a context whose cluster is not there leads nowhere and says nothing."""
    clusters = {entry["name"]: entry["cluster"] for entry in document.get("clusters") or ()}
    contexts = {entry["name"]: entry["context"]["cluster"] for entry in document.get("contexts") or ()}
    ours = {name: clusters[its] for name, its in contexts.items() if _is_ours(name, cluster) and its in clusters}
    authorities = {_ca_hash(where) for where in ours.values()}
    return KubeconfigEvidence(
        ca=next(iter(authorities), None) if len(authorities) < 2 else UNREADABLE,
        servers={name: where["server"] for name, where in ours.items()},
        others=any(
            entry["name"] not in names
            for key, names in _of_ours(document, cluster).items()
            for entry in document.get(key) or ()
        ),
    )


def _is_ours(context: str, cluster: str) -> bool:
    return context == cluster or naming.master_name_pattern(cluster).fullmatch(context) is not None


def _ca_hash(where: Mapping[str, Any]) -> str:
    data = where.get("certificate-authority-data")
    return ca_hash(base64.b64decode(data)) if data else UNREADABLE


def _of_ours(document: Mapping[str, Any], cluster: str) -> dict[str, set[str]]:
    """Name the entries of each list that are ours: our contexts, and what they name that no other context does."""
    contexts = {entry["name"]: entry["context"] for entry in document.get("contexts") or ()}
    ours = {name for name in contexts if _is_ours(name, cluster)}
    found = {"contexts": ours}
    for key, word in (("clusters", "cluster"), ("users", "user")):
        named = {contexts[name].get(word) for name in ours}
        found[key] = named - {its.get(word) for name, its in contexts.items() if name not in ours}
    return found


def merged(existing: str, ours: str, cluster: str) -> str:
    """Write our contexts into a kubeconfig, in the place of those that it holds of ours.

    What is current stays current while it is another cluster's. A cluster or user of another context that is called as
    one of ours keeps its name: ours gets another one.
    """
    yaml = _reader()
    document: dict[str, Any] = yaml.load(existing) or {}
    new: dict[str, Any] = yaml.load(ours)
    _take_out(document, cluster)
    for key, word in (("clusters", "cluster"), ("users", "user")):
        _rename(new, key, word, {entry["name"] for entry in document.get(key) or ()}, cluster)
    for key in _LISTS:
        document[key] = [*(document.get(key) or ()), *(new.get(key) or ())]
    if document.get("current-context") not in _names(document["contexts"]) or _is_ours(
        document["current-context"], cluster
    ):
        document["current-context"] = new.get("current-context", cluster)
    for key, value in new.items():
        document.setdefault(key, value)
    return _text(yaml, document)


def without(existing: str, cluster: str) -> str:
    """Take our contexts out of a kubeconfig, and what only they name."""
    yaml = _reader()
    document: dict[str, Any] = yaml.load(existing) or {}
    _take_out(document, cluster)
    if document.get("current-context") not in _names(document.get("contexts") or ()):
        document["current-context"] = ""
    return _text(yaml, document)


def _take_out(document: dict[str, Any], cluster: str) -> None:
    for key, names in _of_ours(document, cluster).items():
        if document.get(key):
            document[key] = [entry for entry in document[key] if entry["name"] not in names]


def _rename(new: dict[str, Any], key: str, word: str, taken: set[str], cluster: str) -> None:
    for entry in new.get(key) or ():
        if entry["name"] not in taken:
            continue
        before, entry["name"] = entry["name"], f"{entry['name']}@hetzner-k3s-{cluster}"
        for context in new["contexts"]:
            if context["context"][word] == before:
                context["context"][word] = entry["name"]


def _names(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    return {entry["name"] for entry in entries}


def _reader() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 30  # base64 must stay on one line
    return yaml


def _text(yaml: YAML, document: Mapping[str, Any]) -> str:
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()
