"""What is refused when all masters are lost, or a cluster is given up: (state, codes, spec, intent)."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.lost import (
    FROM_FILE,
    S3_SPEC,
    a_file,
    all_lost,
    emptied,
    half_restored,
    naming_a_file,
    on_disk,
    restoring,
    stored,
    to_restore,
    with_disk,
    with_snapshots,
)
from tests.decide.world import (
    CREATE,
    MASTER1,
    NOW,
    OTHER_CA,
    OTHER_UID,
    SPEC,
    born_record,
    healthy,
    nothing,
    recorded,
    server_id_of,
    stopped,
    unreachable,
)

from hetzner_k3s.model.consents import Consents, NewClusterOver
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

OVER = replace(CREATE, consents=Consents.of(NewClusterOver(OTHER_CA[:8])))

LOST: dict[str, tuple[ClusterState, tuple[str, ...], ClusterSpec, Intent]] = {
    "all masters lost, snapshots and token found": (to_restore(), ("restore.consent",), S3_SPEC, CREATE),
    "all masters lost, one snapshot of several has its token": (
        to_restore(stored(60, token_hash="f" * 12), stored(120)),
        ("restore.consent",),
        S3_SPEC,
        CREATE,
    ),
    "all masters lost, no token": (
        with_snapshots(all_lost(token=False), stored(60)),
        ("restore.no-token",),
        S3_SPEC,
        restoring(),
    ),
    "all masters lost, the agents' token is nowhere": (
        recorded(to_restore(), replace(born_record(), agent="a" * 12)),
        ("token.agent-unknown",),
        S3_SPEC,
        restoring(),
    ),
    "all masters lost, another token": (
        to_restore(stored(60, token_hash="e" * 12)),
        ("restore.no-token",),
        S3_SPEC,
        CREATE,
    ),
    "all masters lost, S3 silent": (
        replace(all_lost(), snapshots=Unknown("the S3 service s3.example.com, bucket backups, did not answer", NOW)),
        ("restore.unknown",),
        S3_SPEC,
        restoring(),
    ),
    "all masters lost, only others' snapshots": (
        to_restore(stored(60, uid=OTHER_UID), stored(90, uid=OTHER_UID)),
        ("masters.all-lost",),
        S3_SPEC,
        CREATE,
    ),
    "all masters lost, the snapshot is of another cluster": (
        to_restore(stored(60, uid=OTHER_UID), stored(120)),
        ("consent.unfit",),
        S3_SPEC,
        restoring(stored(60, uid=OTHER_UID).name),
    ),
    "all masters lost, no such snapshot": (to_restore(), ("consent.unfit",), S3_SPEC, restoring("etcd-snapshot-x")),
    "all masters' databases deleted, snapshots on two disks": (
        with_disk(
            with_disk(emptied(SPEC, *SPEC.master_names), MASTER1, on_disk(600)),
            "prod-master2",
            on_disk(60, node="prod-master2"),
        ),
        ("restore.consent",),
        SPEC,
        CREATE,
    ),
    "snapshots on a disk that could not be read": (
        replace(emptied(SPEC, MASTER1), on_hosts={server_id_of(MASTER1): Unknown("connection lost", NOW)}),
        ("restore.unknown",),
        SPEC,
        restoring(),
    ),
    "a snapshot file of another cluster": (
        naming_a_file(all_lost(SPEC), a_file(uid=OTHER_UID)),
        ("consent.unfit",),
        SPEC,
        FROM_FILE,
    ),
    "a file that is no snapshot": (
        naming_a_file(all_lost(SPEC), a_file(uid=None)),
        ("consent.unfit",),
        SPEC,
        FROM_FILE,
    ),
    "a snapshot file without its token": (
        naming_a_file(all_lost(SPEC, token=False), a_file(), token=False),
        ("restore.no-token",),
        SPEC,
        FROM_FILE,
    ),
    "half a restore lies on a master": (half_restored(to_restore()), ("restore.consent",), S3_SPEC, CREATE),
    "a restore of a cluster that lives": (healthy(), ("consent.unfit",), SPEC, restoring()),
    "a restore beside masters that may hold data": (
        unreachable(stopped(unreachable(healthy(), "prod-master3"), "prod-master2"), MASTER1),
        ("consent.unfit",),
        SPEC,
        restoring(),
    ),
    "a new cluster over one that is not here": (healthy(), ("consent.unfit",), SPEC, OVER),
    "a birth beside snapshots of masters of these names": (
        with_snapshots(nothing(), stored(60), stored(90)),
        ("birth.snapshots",),
        S3_SPEC,
        CREATE,
    ),
    "a birth while S3 is silent": (
        replace(nothing(), snapshots=Unknown("the S3 service s3.example.com, bucket backups, did not answer", NOW)),
        ("birth.snapshots-unknown",),
        S3_SPEC,
        CREATE,
    ),
}
