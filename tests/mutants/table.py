"""Each law broken on purpose: which text becomes which, and the tests that must notice.

See docs/architecture.md#laws.

A text that is no longer in its file is an error, not a kill: whoever changes that line decides how it is broken now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One way to break a law.

    Args:
        law: its number in docs/architecture.md#laws.
        what: what the product does now that it must not.
        file: below `src/hetzner_k3s`.
        old: text that is in the file once.
        new: what takes its place.
        tests: arguments for pytest, the smallest tests that should notice.
    """

    law: int
    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_HOUSE: Final = "tests/architecture/test_house.py"
_BIRTH: Final = "tests/decide/test_birth.py"
_REPAIR: Final = "tests/decide/test_repair.py"
_REFUSALS: Final = "tests/decide/test_refusals.py"
_QUORUM: Final = "tests/decide/test_quorum.py"
_RESET_SCRIPTS: Final = ("tests/hosts/test_disaster_scripts.py", "tests/hosts/test_restore_proof.py")
_SCENARIOS: Final = "tests/sim/test_scenarios.py"


def _scenarios(*numbers: str) -> tuple[str, ...]:
    """Choose scenarios (docs/facts/recovery.md#scenarios) by number."""
    return (_SCENARIOS, "-k", " or ".join(f"[{number}-" for number in numbers))


MUTATIONS: Final[tuple[Mutation, ...]] = (
    Mutation(
        law=1,
        what="a rule reads the clock",
        file="decide/view/quorum.py",
        old="from dataclasses import dataclass\n",
        new="import time\nfrom dataclasses import dataclass\n",
        tests=(_HOUSE, "-k", "import_contracts"),
    ),
    Mutation(
        law=1,
        what="looking imports acting",
        file="observe/kube.py",
        old="from hetzner_k3s.model import lookup\n",
        new="from hetzner_k3s.act import waiting  # noqa: F401\nfrom hetzner_k3s.model import lookup\n",
        tests=(_HOUSE, "-k", "import_contracts"),
    ),
    Mutation(
        law=2,
        what="a server id that could not be asked for counts as gone",
        file="decide/view/node_machine.py",
        old='return Unknown(f"whether server {machine} still exists could not be asked ({answer.why})")',
        new="return Absent(_GONE)",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=2,
        what="an incomplete listing counts as a complete one",
        file="decide/identity/project.py",
        old="    if not isinstance(context.state.cloud, Unknown):\n        return ()\n",
        new="    if isinstance(context.state.cloud, Unknown):\n        return ()\n    if True:\n        return ()\n",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=2,
        what="a listing that failed counts as an empty project",
        file="observe/cloud.py",
        old="    return await _listed(ports, ports.cloud.survey())\n",
        new="    found = await _listed(ports, ports.cloud.survey())\n"
        "    return found if isinstance(found, Known) else Known(CloudView())\n",
        tests=_scenarios("23", "24"),
    ),
    Mutation(
        law=3,
        what="a birth beside servers that hold data",
        file="decide/lifecycle/bootstrap.py",
        old="    refusals = [_holds_data(server, why) for server, why in _not_empty(context)]\n",
        new="    refusals: list[Refusal] = []\n",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=3,
        what="a record that says `born` does not forbid a birth",
        file="decide/situation.py",
        old="            return _of_initialized(context)\n",
        new="            return situations.Uninitialized()\n",
        tests=(_BIRTH, _REPAIR),
    ),
    Mutation(
        law=3,
        what="every configuration permits a birth",
        file="hosts/k3s_config.py",
        old='        "write-kubeconfig-mode": "0600",\n',
        new='        "write-kubeconfig-mode": "0600",\n        "cluster-init": True,\n',
        tests=("tests/hosts/test_k3s_config.py",),
    ),
    Mutation(
        law=3,
        what="the guard of the simulated host lets one without data begin a cluster",
        file="lab/simulated/hosts/host.py",
        old="        raise Fatal(GUARD)\n",
        new="        self.permit = True\n",
        tests=("tests/sim/test_laws.py",),
    ),
    Mutation(
        law=3,
        what="the start guard lets a host without data begin a cluster",
        file="hosts/scripts/start_guard.sh",
        old='[ ! -e "$etcd/tombstone" ] && [ -e /run/hetzner-k3s/birth ] && exit 0\n',
        new='[ ! -e "$etcd/tombstone" ] && exit 0\n',
        tests=("tests/hosts/test_start_guard.py",),
    ),
    Mutation(
        law=4,
        what="a note of a lineage outlives the data that it was made for",
        file="hosts/scripts/start_guard.sh",
        old="has_data || rm -f",
        new="true || rm -f",
        tests=("tests/hosts/test_start_guard.py",),
    ),
    Mutation(
        law=4,
        what="a label of an earlier lineage outlives the data that it was made for",
        file="model/lookup.py",
        old="    told = (naming.LABEL_STATE,) if present else naming.MEMBER_LABELS\n",
        new="    told = (naming.LABEL_STATE,)\n",
        tests=("tests/decide/test_outlived.py",),
    ),
    Mutation(
        law=4,
        what="identity is the CA alone",
        file="decide/identity/hosts.py",
        old="next((s for s in sides if s.identity.uid == identity.uid and _is_of(s, master.facts)), None)",
        new="next((s for s in sides if _is_of(s, master.facts)), None)",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=4,
        what="the lineage of the ConfigMap is ignored",
        file="decide/identity/lineage.py",
        old="    if kube is None or kube.lineage is None or record.lineage in {None, kube.lineage}:\n",
        new="    if kube is None or kube.lineage is None or record.phase is not None:\n",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=4,
        what="a master of another lineage is counted",
        file="decide/identity/lineage.py",
        old="not stale_lineage.belongs(m.facts, m.server, record)",
        new="not m.facts.disk.wal",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=5,
        what="a quorum is reset beside members that are not proven gone",
        file="decide/disaster/quorum_reset.py",
        old="    if open_fates:\n        return (_unsafe(context, reset, open_fates),)\n",
        new="",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=5,
        what="a quorum is reset from a master whose log is behind",
        file="decide/disaster/quorum_reset.py",
        old="    return _behind(context, reset, named)\n",
        new="    return ()\n",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=6,
        what="k3s' finalizer is taken off a Node whose member is listed",
        file="decide/repair/stale_nodes.py",
        old="release=node is not None and not _has_member(context, named.name),",
        new="release=node is not None,",
        tests=("tests/decide/test_masters.py", "-k", "released"),
    ),
    Mutation(
        law=6,
        what="the exit code of a reset is trusted",
        file="hosts/scripts/reset_cluster.sh",
        old="    grep -q 'Managed etcd cluster membership has been reset' \"$log\" ||\n",
        new="    [ $? = 0 ] ||\n",
        tests=_RESET_SCRIPTS,
    ),
    Mutation(
        law=6,
        what="looking for a WAL changes the variable that names the log of a reset",
        file="hosts/scripts/prelude.sh",
        old='    for wal_found in "$k3s_data"/server/db/etcd/member/wal/*.wal; do\n        [ -e "$wal_found" ]',
        new='    for log in "$k3s_data"/server/db/etcd/member/wal/*.wal; do\n        [ -e "$log" ]',
        tests=_RESET_SCRIPTS,
    ),
    Mutation(
        law=4,
        what="a snapshot on a disk is restored whosever it is",
        file="decide/disaster/restore_sources.py",
        old="    hosted = tuple(s for s in _hosted(context) if uid is not None and s.cluster_uid == uid)\n",
        new="    hosted = _hosted(context)\n",
        tests=("tests/decide/test_restore_sources.py",),
    ),
    Mutation(
        law=6,
        what="a snapshot file is restored that nobody looked at",
        file="hosts/scripts/restore_snapshot.sh",
        old='    [ "$(file_hash "$file")" = "$sum" ] || precondition_changed',
        new="    true || precondition_changed",
        tests=("tests/hosts/test_snapshot_scripts.py",),
    ),
    Mutation(
        law=6,
        what="the exit code of a restore is trusted",
        file="hosts/scripts/restore_snapshot.sh",
        old="grep -q 'Managed etcd cluster membership has been reset' \"$log\" ||\n",
        new="[ $? = 0 ] ||\n",
        tests=_RESET_SCRIPTS,
    ),
    Mutation(
        law=6,
        what="data is moved aside on a host whose k3s is not stopped and masked",
        file="hosts/scripts/fence_member.sh",
        old="is_held || precondition_changed 'k3s is not stopped and masked on this host'\n",
        new="",
        tests=_RESET_SCRIPTS,
    ),
    Mutation(
        law=5,
        what="the quorum after a removal is not projected",
        file="decide/view/quorum.py",
        old="    if alive < majority(len(before)):\n",
        new="    if alive < 0:\n",
        tests=(_QUORUM,),
    ),
    Mutation(
        law=5,
        what="two disruptive steps at once",
        file="decide/concurrency.py",
        old="    return mine.disruptive and theirs.disruptive and not",
        new="    return False and mine.disruptive and theirs.disruptive and not",
        tests=("tests/decide/test_concurrency.py",),
    ),
    Mutation(
        law=5,
        what="a worker's scope runs past a gate",
        file="decide/asking.py",
        old="            return Plan(steps=startable(aid, seen.in_flight), refusals=refusals)",
        new="            from hetzner_k3s.decide.lifecycle import workers\n\n"
        "            aid = (*aid, *(workers.bring_up_workers(seen) or Proposal()).steps)\n"
        "            return Plan(steps=startable(aid, seen.in_flight), refusals=refusals)",
        tests=("tests/properties/test_decisions.py", "-k", "refusal_empties"),
    ),
    Mutation(
        law=6,
        what="the host does not read the member list again before it removes one",
        file="lab/simulated/operations/etcd_gateway.py",
        old="    if sorted(str(member.id) for member in members) != sorted(precondition.ids):\n",
        new="    if False:\n",
        tests=("tests/sim/test_laws.py",),
    ),
    Mutation(
        law=6,
        what="the script removes a member that is connected",
        file="hosts/scripts/remove_member.sh",
        old="is_connected && precondition_changed",
        new="false && precondition_changed",
        tests=("tests/hosts/test_removal.py",),
    ),
    Mutation(
        law=6,
        what="a removal names no list that it was decided on",
        file="decide/view/voters.py",
        old="ids=tuple(sorted(m.id for m in context.control_plane.members))",
        new="ids=()",
        tests=(_REPAIR,),
    ),
    Mutation(
        law=4,
        what="a quorum is reset whatever cluster's data is on the disks",
        file="decide/disaster/quorum_reset.py",
        old="    return facts.stored_uid is not None and record.uid is not None and facts.stored_uid != record.uid\n",
        new="    return facts.stored_uid is not None and record.uid is None\n",
        tests=(_REFUSALS,),
    ),
    Mutation(
        law=6,
        what="an agent that has learned of other masters meanwhile is started anew",
        file="hosts/scripts/reconnect_agent.sh",
        old='[ "${known:--}" = "$2" ] || precondition_changed',
        new='[ -n "$2" ] || precondition_changed',
        tests=("tests/hosts/test_restore_scripts.py",),
    ),
    Mutation(
        law=6,
        what="a master that may be in an election is stopped at once",
        file="decide/disaster/quorum_reset.py",
        old="        watched = _WATCHED if len(running) == len(left) and _enough_run(context) else 0.0\n",
        new="        watched = 0.0\n",
        tests=("tests/decide/test_disaster.py",),
    ),
    Mutation(
        law=6,
        what="the script looks for a leader only once",
        file="hosts/scripts/hold_k3s.sh",
        old='[ "$began" -lt "$watched_until" ] || return 0',
        new="return 0",
        tests=("tests/hosts/test_disaster_scripts.py",),
    ),
    Mutation(
        law=6,
        what="a server whose creation was answered too late is not adopted",
        file="act/handlers/servers.py",
        old="    except CloudConflict as taken:\n        return await _adopt(order, context, taken)\n",
        new="    except CloudConflict:\n        raise\n",
        tests=("tests/sim/test_kill.py", "-k", "recovery"),
    ),
    Mutation(
        law=6,
        what="a step is tried again inside",
        file="act/registry.py",
        old="    return await HANDLERS[type(step)](step, context)\n",
        new="    try:\n"
        "        return await HANDLERS[type(step)](step, context)\n"
        "    except Exception:\n"
        "        return await HANDLERS[type(step)](step, context)\n",
        tests=("tests/sim/test_laws.py",),
    ),
    Mutation(
        law=7,
        what="every run corrects every master's configuration",
        file="decide/lifecycle/join.py",
        old="    return None if master.facts.disk.config_server in living else api_url(context, others[0])\n",
        new="    return api_url(context, others[0]) if living else None\n",
        tests=("tests/decide/test_healthy.py",),
    ),
    Mutation(
        law=7,
        what="a configuration that is corrected is followed by a restart",
        file="lab/simulated/operations/host_operations.py",
        old="    host.disk.point_to(operation.url)\n",
        new="    host.disk.point_to(operation.url)\n"
        "    host.units[K3sRole.SERVER].stop()\n    host.units[K3sRole.SERVER].start()\n",
        tests=_scenarios("75"),
    ),
    Mutation(
        law=8,
        what="the configuration with the token goes into argv",
        file="hosts/procedures.py",
        old='WriteConfig: _procedure("write_config", stdin=lambda op: op.config.reveal()),',
        new='WriteConfig: _procedure("write_config", arguments=lambda op: (op.config.reveal(),)),',
        tests=("tests/hosts/test_operations.py",),
    ),
    Mutation(
        law=8,
        what="a secret shows itself in a log",
        file="model/secrets.py",
        old='        return f"Secret({MASK!r})"\n',
        new='        return f"Secret({self._value!r})"\n',
        tests=("tests/model/test_secrets.py",),
    ),
    Mutation(
        law=9,
        what="a wait has no deadline",
        file="act/waiting.py",
        old="        if clock.monotonic() >= ends:\n",
        new="        if clock.monotonic() >= ends and False:\n",
        tests=("tests/act/test_waiting.py",),
    ),
    Mutation(
        law=9,
        what="a step that fails does not reach the exit code",
        file="reconcile.py",
        old="        if (error := self.setbacks.error()) is not None:\n            raise error\n        return code",
        new="        return code",
        tests=_scenarios("27"),
    ),
    Mutation(
        law=10,
        what="what was not shown is run",
        file="act/setbacks.py",
        old="        if planned.key not in self.approved:\n",
        new="        if planned.key not in self.approved and False:\n",
        tests=("tests/sim/test_laws.py",),
    ),
    Mutation(
        law=9,
        what="an API is waited for with the CA of the cluster that its master was of before",
        file="adapters/kube_sessions.py",
        old="            if admin.is_same(session.admin):\n",
        new="            if admin is not None:\n",
        tests=("tests/adapters/test_kube_sessions.py", _SCENARIOS, "-k", "kubeconfig or joins-the-others"),
    ),
    Mutation(
        law=10,
        what="without its consent: masters beyond the file go without --prune",
        file="decide/prune/retire.py",
        old="    if Prune() not in context.consents or context.control_plane.kube is None:\n"
        "        return None\n    if not_yet_members",
        new="    if context.control_plane.kube is None:\n        return None\n    if not_yet_members",
        tests=("tests/decide/test_shrink.py",),
    ),
    Mutation(
        law=10,
        what="without its consent: a master is discarded without --replace",
        file="decide/view/voters.py",
        old="    asked = ((r.named, context.control_plane.master(r.named)) for r in context.consents.every(Replace))\n",
        new="    asked = ((name, context.control_plane.master(name)) for name in context.spec.master_names)\n",
        tests=("tests/decide/test_masters.py", _REFUSALS),
    ),
)
