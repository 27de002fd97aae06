"""Steps about what runs in every cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyAddons:
    """Apply the Secret `hcloud` and the HelmChart objects of the add-ons through the healthy master `via`.

    `addons` maps the name of each object to the digest of what is applied; it is kept on the object, so that a second
    run writes nothing.
    """

    target: str
    addons: Mapping[str, str]
    via: int
