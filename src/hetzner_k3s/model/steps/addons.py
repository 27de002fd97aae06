"""Steps about what runs in every cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hetzner_k3s.model.kubernetes.addons_of_2x import ObjectName


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyAddons:
    """Apply the Secret `hcloud` and the HelmChart objects of the add-ons through the healthy master `via`.

    `addons` maps the name of each chart to the digest of what is applied; it is kept on the object, so that a second
    run writes nothing. `credentials` says that the Secret is applied too: it is left while it grants the same.
    """

    target: str
    addons: Mapping[str, str]
    via: int
    credentials: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAddon:
    """Uninstall the chart `target`, which we applied with this digest, through the healthy master `via`."""

    target: str
    digest: str
    via: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOverAddon:
    """Put the chart `target`, of this digest, in the place of what hetzner-k3s 2.x applied, through the master `via`.

    `workloads` are what is deleted for it, each with its UID: what else has the name by then is left.
    """

    target: str
    digest: str
    workloads: Mapping[ObjectName, str]
    via: int
