"""The first configuration file of a cluster, commented for whoever opens it next."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.config.schema.file import Configuration

SCHEMA_FILE: Final = "cluster.schema.json"
EXAMPLE_VERSION: Final = str((Configuration.model_fields["k3s_version"].examples or [""])[0])
EVERYWHERE: Final = "0.0.0.0/0"

_PLAIN: Final = re.compile(r"[A-Za-z~./][A-Za-z0-9_~./+-]*|[0-9]+(\.[0-9]+){3}(/[0-9]+)?")
_NO_TEXTS: Final = frozenset({"true", "false", "yes", "no", "on", "off", "null", "~"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a first file is made of; every value as it stands in the file, unchecked."""

    name: str = "my-cluster"
    masters: int = 3
    workers: int = 2
    instance_type: str = "cpx22"
    locations: tuple[str, ...] = ("fsn1", "hel1", "nbg1")
    k3s_version: str = EXAMPLE_VERSION
    ssh_key: str = "~/.ssh/id_ed25519"
    allow: tuple[str, ...] = (EVERYWHERE,)


def first_file(wishes: Wishes) -> str:
    """Return the text of the file."""
    return f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# A k3s cluster on Hetzner Cloud. Every key: docs/reference/configuration.md of hetzner-k3s.
# The API token is taken from the environment: export HCLOUD_TOKEN=…
cluster_name: {_text(wishes.name)}   # cannot change later
kubeconfig_path: ./kubeconfig
k3s_version: {_text(wishes.k3s_version)}   # `hetzner-k3s releases` lists them

networking:
  ssh:
    private_key_path: {_text(wishes.ssh_key)}
    public_key_path: {_text(f"{wishes.ssh_key}.pub")}
  allowed_networks:{_advice(wishes.allow)}
    ssh: {_listed(wishes.allow)}
    api: {_listed(wishes.allow)}

# {_about_masters(wishes.masters)}
masters_pool:
  instance_type: {_text(wishes.instance_type)}
  instance_count: {wishes.masters}
  locations: {_listed(wishes.locations)}   # one for each master, or one for all

{_workers(wishes)}
protect_against_deletion: true   # `hetzner-k3s delete` refuses until this is false
"""


def _about_masters(count: int) -> str:
    if count == 1:
        return "One master: when it is lost, so is the cluster. Three bear the loss of one."
    return "Any one of them may be lost: run `hetzner-k3s create` again, and it is replaced."


def _advice(allow: tuple[str, ...]) -> str:
    return "   # everybody: narrow these two to your own networks" if EVERYWHERE in allow else ""


def _workers(wishes: Wishes) -> str:
    if wishes.workers == 0:
        return "schedule_workloads_on_masters: true   # there are no workers\n"
    return f"""\
worker_node_pools:
  - name: workers
    instance_type: {_text(wishes.instance_type)}
    instance_count: {wishes.workers}
    location: {_text(wishes.locations[0] if wishes.locations else "")}
"""


def _listed(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_text, texts))}]"


def _text(text: str) -> str:
    """Write a text so that YAML reads it back as it is."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXTS
    return text if plain else json.dumps(text, ensure_ascii=False)
