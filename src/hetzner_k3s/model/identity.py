"""Who a cluster is: CA hash and kube-system UID, both, and the lineage that tells it from its own past.

docs/architecture.md#law-4; docs/facts/k3s.md#identity: two live clusters may share CA, token, etcd cluster id and
member id.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from hetzner_k3s.model import naming
from hetzner_k3s.model.text.documents import server_number

_TOKEN = re.compile(r"\AK10([0-9a-f]{64})::([^:]+):(.+)\Z", re.DOTALL)
_CREDENTIALS = re.compile(r"(?<=://).*@|\?.*\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Identity:
    """CA hash (64 hexadecimal digits) and kube-system namespace UID."""

    ca: str
    uid: str


class Phase(Enum):
    """Where a cluster is in its life."""

    BOOTSTRAPPING = "bootstrapping"
    BORN = "born"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True, kw_only=True)
class BirthRecord:
    """What the labels say of the cluster's birth; a field is None where no resource carries it.

    `seed` is the server id of the first master, `ca` the first 40 hexadecimal digits of the CA hash, `parent` the
    lineage that a reset or a restore made `lineage` out of. `database` tells the external database that the cluster
    lives in from others (`database_digits`); without one the cluster has an etcd of its own. `agent` is the hash of the
    agents' own token (`token_hash`), which a restore has to have; None where the cluster was initialized without one.
    `adopted` is the day (2026-11-30) on which a cluster of hetzner-k3s 2.x was adopted, None for one that we began.
    """

    phase: Phase | None = None
    seed: int | None = None
    ca: str | None = None
    uid: str | None = None
    lineage: str | None = None
    parent: str | None = None
    database: str | None = None
    agent: str | None = None
    adopted: str | None = None

    def labels(self) -> dict[str, str]:
        """Return the record as the labels that carry it."""
        values = {
            naming.LABEL_PHASE: self.phase.value if self.phase else None,
            naming.LABEL_SEED: str(self.seed) if self.seed is not None else None,
            naming.LABEL_CA: self.ca,
            naming.LABEL_UID: self.uid,
            naming.LABEL_LINEAGE: self.lineage,
            naming.LABEL_PARENT: self.parent,
            naming.LABEL_DATABASE: self.database,
            naming.LABEL_AGENT_TOKEN: self.agent,
            naming.LABEL_ADOPTED: self.adopted,
        }
        return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class RecordConflict:
    """Two resources that carry different values of one field of the birth record."""

    field: str
    values: tuple[str, ...]


def read_record(labels: Mapping[str, str]) -> BirthRecord:
    """Read the part of a birth record that one resource's labels carry; unknown values count as missing."""
    phase = labels.get(naming.LABEL_PHASE)
    seed = labels.get(naming.LABEL_SEED, "")
    return BirthRecord(
        phase=Phase(phase) if phase in {p.value for p in Phase} else None,
        seed=server_number(seed),
        ca=labels.get(naming.LABEL_CA),
        uid=labels.get(naming.LABEL_UID),
        lineage=labels.get(naming.LABEL_LINEAGE),
        parent=labels.get(naming.LABEL_PARENT),
        database=labels.get(naming.LABEL_DATABASE),
        agent=labels.get(naming.LABEL_AGENT_TOKEN),
        adopted=labels.get(naming.LABEL_ADOPTED),
    )


def merge_records(records: tuple[BirthRecord, ...]) -> BirthRecord | RecordConflict:
    """Join what several resources carry.

    See docs/architecture.md#birth-record: `deleting` beats `born` beats `bootstrapping`.

    A missing value is filled in; only two different values of seed, ca, uid, database or lineage are a conflict. Who
    carries a CA or a UID was initialized, whatever became of the label that says so: without that, a lost label could
    permit a bootstrap.
    Before that a birth may begin anew on another seed, and a run may be killed while it writes so: the first carrier is
    written first, so its seed is the newer one (`decide/lifecycle/bootstrap.py` asks that the other is gone). A lineage
    and the one that it was made out of are no conflict: the younger one was not written everywhere yet.
    """
    born = any(record.phase is Phase.BORN or record.ca or record.uid for record in records)
    for field in ("seed", "ca", "uid", "database") if born else ("ca", "uid"):
        values = tuple(sorted({str(v) for r in records if (v := getattr(r, field)) is not None}))
        if len(values) > 1:
            return RecordConflict(field, values)
    youngest = _youngest(records)
    if len(youngest) > 1:
        return RecordConflict("lineage", youngest)
    phases = {r.phase for r in records} | {implied for r in records if (implied := _implied_phase(r)) is not None}
    phase = next((p for p in (Phase.DELETING, Phase.BORN, Phase.BOOTSTRAPPING) if p in phases), None)
    return BirthRecord(
        phase=phase,
        seed=next((r.seed for r in records if r.seed is not None), None),
        ca=next((r.ca for r in records if r.ca), None),
        uid=next((r.uid for r in records if r.uid), None),
        lineage=next(iter(youngest), None),
        parent=next((r.parent for r in records if r.parent and r.lineage in youngest), None),
        database=next((r.database for r in records if r.database), None),
        agent=next((r.agent for r in records if r.agent), None),
        adopted=next((r.adopted for r in records if r.adopted), None),
    )


def _youngest(records: tuple[BirthRecord, ...]) -> tuple[str, ...]:
    """Return the lineages that no other one was made out of: one, unless the record contradicts itself."""
    parents = {r.parent for r in records}
    return tuple(sorted({str(r.lineage) for r in records if r.lineage is not None and r.lineage not in parents}))


def _implied_phase(record: BirthRecord) -> Phase | None:
    if record.ca or record.uid:
        return Phase.BORN
    return Phase.BOOTSTRAPPING if record.seed is not None else None


def token_ca(token: str) -> str | None:
    """Return the CA hash that a full K10 token pins, or None for a bare password."""
    match = _TOKEN.match(token)
    return match[1] if match else None


def token_password(token: str) -> str:
    """Return the password of a token, full or bare."""
    match = _TOKEN.match(token)
    return match[3] if match else token


def full_token(ca: str, password: str) -> str:
    """Return the full K10 token of a cluster's servers, which pins the CA hash."""
    return f"K10{ca}::server:{password}"


def is_agent_token(token: str) -> bool:
    """Check whether a full token admits agents only."""
    match = _TOKEN.match(token)
    return match is not None and match[2] == "node"


def token_hash(token: str) -> str:
    """Return the 12 digits under which the datastore keeps its bootstrap data.

    See docs/facts/k3s.md#bootstrap-key.
    """
    return hashlib.sha256(token_password(token).encode()).hexdigest()[:12]


def database_digits(endpoint: str) -> str:
    """Give 12 digits that tell a database from others, whoever logs in to it: a hash of where it is and its name.

    User, password and options are left out, so that a password may change; `facts.sh` reckons the same.
    """
    place = _CREDENTIALS.sub("", endpoint)
    return hashlib.sha256(place.encode()).hexdigest()[:12]
