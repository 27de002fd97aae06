"""The step that records a cluster of hetzner-k3s 2.x as it is."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.identity import BirthRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptCluster:
    """Record the cluster `target` that 2.x made: its servers' host keys, its record, its lineage.

    `host_keys` maps servers (ids) to the label values of the keys that were shown; a master is asked by that key once
    more whether it is the cluster of `record`. `via` is a master (id) through whose API the lineage is written. A
    record without a lineage gets one from the handler.
    """

    target: str
    record: BirthRecord
    host_keys: tuple[tuple[int, str], ...]
    via: int
