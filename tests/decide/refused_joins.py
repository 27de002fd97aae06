"""What is refused before anything joins, and consents that fit nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.cases import case
from tests.decide.oddities import (
    NEW_TOKEN,
    OLD_TOKEN,
    accepting,
    alarmed,
    clock_off,
    encrypting,
    fresh,
    kept_out,
    not_listening,
    replacing,
    rotated,
    running_with,
    with_ca,
)
from tests.decide.world import (
    CREATE,
    MASTER1,
    MASTER2,
    MASTER3,
    OTHER_CA,
    OTHER_UID,
    SPEC,
    SURGING,
    UPGRADE,
    WORKER1,
    a_spec,
    born_record,
    disconnected,
    edit_etcd,
    edit_kube,
    edit_server,
    healthy,
    joining,
    lose,
    made_from,
    nothing,
    off,
    recorded,
    replacement_of,
    unreachable,
    without_node,
    without_quorum,
)

from hetzner_k3s.model.consents import Consents, Rollout, Surge
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.version import K3sVersion

BEFORE_A_JOIN = {
    "the keys of secrets are being changed and a master is lost": case(
        encrypting(lose(healthy(), MASTER3), master1="rotate-bb", master2="start-aa", master3="start-aa"),
        "encryption.rotating",
    ),
    "a master has other keys of secrets than another and a third is lost": case(
        encrypting(lose(healthy(), MASTER3), master1="start-bb", master2="start-aa"), "encryption.rotating"
    ),
    "the token is being rotated and a master is lost": case(
        edit_etcd(lose(healthy(), MASTER3), lambda e: replace(e, bootstrap_keys=(NEW_TOKEN, OLD_TOKEN))),
        "token.rotating",
    ),
    "the token was rotated, nobody has the new one, and a master is lost": case(
        lose(rotated(healthy()), MASTER3), "token.unknown"
    ),
    "the token was rotated, no master was restarted, and a master is lost": case(
        lose(rotated(healthy(), config=NEW_TOKEN), MASTER3), "token.not-accepted"
    ),
    "the token was rotated, no master was restarted, and a worker is new": case(
        without_node(lose(rotated(healthy(), config=NEW_TOKEN), WORKER1), WORKER1), "token.not-accepted"
    ),
    "the file asks for another network of pods and a master is lost": case(
        running_with(lose(healthy(), MASTER3), {"cluster-cidr": "10.42.0.0/16", "supervisor-metrics": "true"}),
        "config.drift",
    ),
    "the clock of a master that is to join is far ahead": case(
        clock_off(fresh(healthy(), MASTER3), MASTER3, 94.2), "clock.skew"
    ),
    "the clock of a master that is to join is far behind": case(
        clock_off(joining(lose(healthy(), MASTER3), SPEC, MASTER3, replacement_of(MASTER3)), MASTER3, -300.0),
        "clock.skew",
    ),
    "the datastore is full and a master is lost": case(
        alarmed(lose(healthy(), MASTER3), MASTER1, "NOSPACE"), "etcd.no-space"
    ),
    "the datastore is full and a worker is new": case(
        without_node(lose(alarmed(healthy(), MASTER3, "NOSPACE"), WORKER1), WORKER1), "etcd.no-space"
    ),
    "a member that nobody knows has a full datastore and a master is lost": case(
        edit_etcd(
            lose(healthy(), MASTER3), lambda etcd: replace(etcd, errors=("memberID:77 alarm:NOSPACE alarm:ODD",))
        ),
        "etcd.no-space",
    ),
}


UPGRADES = {
    "an upgrade to a release that there is not": case(
        replace(healthy(), releases=Known({"v1.36": K3sVersion.parse("v1.36.3+k3s1")})),
        "upgrade.no-release",
        spec=replace(SPEC, k3s_version=K3sVersion.parse("v1.36.9+k3s1")),
        intent=UPGRADE,
    ),
    "an upgrade that skips a minor version": case(
        healthy(),
        "upgrade.skips-minor",
        spec=replace(SPEC, k3s_version=K3sVersion.parse("v1.38.1+k3s1")),
        intent=UPGRADE,
    ),
    "an upgrade to an older release": case(
        healthy(),
        "upgrade.downgrade",
        spec=replace(SPEC, k3s_version=K3sVersion.parse("v1.35.9+k3s1")),
        intent=UPGRADE,
    ),
}

CONSENTS = {
    "a pool that the file does not have is to be rolled out": case(
        healthy(), "consent.unfit", intent=replace(CREATE, consents=Consents.of(Rollout("large")))
    ),
    "a pool of the name that add-ons have is to be rolled out": case(
        healthy(),
        "consent.unfit",
        intent=replace(CREATE, consents=Consents.of(Rollout("addons"))),
        spec=replace(SPEC, pools=(replace(SPEC.pools[0], workers=(replace(SPEC.workers()[0], pool="addons"),)),)),
    ),
    "a cluster that was not begun is to be rolled out": case(
        nothing(), "consent.unfit", intent=replace(CREATE, consents=Consents.of(Rollout("all")))
    ),
    "surge servers are asked for, and no rollout": case(
        healthy(), "consent.unfit", intent=replace(CREATE, consents=Consents.of(Surge("1")))
    ),
    "surge servers are asked for while masters alone are rolled out": case(
        healthy(), "consent.unfit", intent=replace(CREATE, consents=Consents.of(Rollout("masters"), Surge("1")))
    ),
    "a surge server would have the name of a worker beyond the file": case(
        made_from(healthy(a_spec(3, 3)), "debian-11", WORKER1), "consent.unfit", intent=SURGING
    ),
    "a healthy master is to be discarded": case(healthy(), "consent.unfit", intent=replacing(MASTER2)),
    "a master that the file does not have is to be discarded": case(
        healthy(), "consent.unfit", intent=replacing("prod-master9")
    ),
    "a master that quorum needs is to be discarded": case(
        disconnected(unreachable(not_listening(healthy(), MASTER3), MASTER2), 102),
        "master.unreachable",
        "master.not-ready",
        "consent.unfit",
        intent=replacing(MASTER2),
    ),
    "a master that is protected at Hetzner is to be discarded": case(
        edit_server(not_listening(healthy(), MASTER3), MASTER3, lambda s: replace(s, protected=True)),
        "consent.unfit",
        intent=replacing(MASTER3),
    ),
    "a master is to be discarded although no quorum is there": case(
        without_quorum(off(off(healthy(), MASTER2), MASTER3)),
        "consent.unfit",
        intent=replacing(MASTER2),
    ),
    "the token was rotated and no master starts with an earlier one": case(
        kept_out(kept_out(kept_out(healthy(), MASTER1, token=NEW_TOKEN), MASTER2), MASTER3), "masters.none-healthy"
    ),
    "the CA was rotated and nobody said so": case(
        with_ca(healthy(), OTHER_CA), "identity.other", "masters.none-healthy"
    ),
    "another CA is accepted than the masters answer with": case(healthy(), "consent.unfit", intent=accepting(OTHER_CA)),
    "a CA is accepted that one master has not yet": case(
        with_ca(healthy(), OTHER_CA, masters=(MASTER1, MASTER2)),
        "identity.rotating",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "a CA is accepted while too few masters answer": case(
        without_quorum(with_ca(lose(lose(healthy(), MASTER1), MASTER2), OTHER_CA, masters=(MASTER3,))),
        "identity.other",
        "quorum.lost",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "a CA is accepted for a cluster with another UID": case(
        recorded(with_ca(healthy(), OTHER_CA), replace(born_record(), uid=OTHER_UID)),
        "identity.other",
        "masters.none-healthy",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "a CA is accepted for a cluster of another lineage": case(
        edit_kube(with_ca(healthy(), OTHER_CA), lambda v: replace(v, lineage="9999")),
        "identity.other",
        "identity.lineage",
        "masters.none-healthy",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "a CA is accepted before one is recorded": case(nothing(), "consent.unfit", intent=accepting(OTHER_CA)),
    "a CA is accepted while two lineages are recorded": case(
        edit_server(healthy(), MASTER3, lambda s: replace(s, labels={**s.labels, "hetzner-k3s/lineage": "9999"})),
        "record.conflict",
        "consent.unfit",
        intent=accepting(OTHER_CA),
    ),
    "an acceptance was cut off and is not given again": case(
        edit_server(
            with_ca(healthy(), OTHER_CA),
            MASTER3,
            lambda s: replace(s, labels={**s.labels, "hetzner-k3s/ca": OTHER_CA[:40]}),
        ),
        "record.conflict",
        "kubeconfig.other-cluster",
    ),
}
