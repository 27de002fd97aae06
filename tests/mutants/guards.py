"""Preconditions, verifications, fences, waits and retries taken out one at a time, and the tests that must notice.

Each of these once survived the whole suite; those of the host scripts act on a scratch root, those of the adapters over
HTTP against the lab, those of the loop in the simulation.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.deletions import DELETIONS
from tests.mutants.table import Mutation

_GUARDED: Final = ("tests/hosts/test_guarded_operations.py",)
_LEAVING: Final = ("tests/hosts/test_leaving.py",)
_SCRIPTS: Final = "hosts/scripts/"
_RUNS: Final = "k3s_is_down || precondition_changed 'k3s runs on this host'\n"


def _script(  # noqa: PLR0917  a row of a table
    law: int, what: str, name: str, old: str, new: str, tests: tuple[str, ...]
) -> Mutation:
    return Mutation(law=law, what=what, file=f"{_SCRIPTS}{name}.sh", old=old, new=new, tests=tests)


HOST_SCRIPTS: Final = (
    _script(
        5,
        "a member is let go while another one is not connected",
        "retire_member",
        '[ "$connected" -ge "$others" ] ||',
        "true ||",
        _LEAVING,
    ),
    _script(
        5,
        "a member removes itself",
        "retire_member",
        '[ "$own" != "$victim" ] || precondition_changed \'a member does not remove itself\'\n',
        "",
        _LEAVING,
    ),
    _script(
        5,
        "a removal without effect is a success",
        "retire_member",
        'member_ids "$answer" | grep -qx "$victim" && fail',
        "false && fail",
        _LEAVING,
    ),
    _script(
        5,
        "leadership goes to a member that is not connected",
        "move_leader",
        '    precondition_changed "member $heir is not connected"\n',
        "    true\n",
        _LEAVING,
    ),
    _script(
        5,
        "a hand-over that was not taken is a success",
        "move_leader",
        '[ "$leader" != "$own" ] || fail',
        "true || fail",
        _LEAVING,
    ),
    _script(6, "data is fenced while k3s runs", "fence_member", _RUNS, "", _GUARDED),
    _script(
        6,
        "data is fetched while k3s runs",
        "fetch_database",
        "(k3s_is_down || precondition_changed 'k3s runs on this host') >&2 || exit $?\n",
        "",
        _GUARDED,
    ),
    _script(6, "a member is reset while k3s runs", "reset_cluster", _RUNS, "", _GUARDED),
    _script(
        6,
        "a removed member is reset",
        "reset_cluster",
        '[ ! -e "$k3s_data/server/db/etcd/tombstone" ] ||',
        "true ||",
        _GUARDED,
    ),
    _script(
        6,
        "the data of another cluster is reset",
        "reset_cluster",
        '[ "$server_ca" = "$expected_ca" ] ||',
        "true ||",
        _GUARDED,
    ),
    _script(
        5,
        "an empty snapshot is a snapshot",
        "save_snapshot",
        '[ -s "$file" ] && [ ! "$file" -ot',
        '[ -e "$file" ] && [ ! "$file" -ot',
        _GUARDED,
    ),
    _script(
        5,
        "an old snapshot is a new one",
        "save_snapshot",
        ' && [ ! "$file" -ot "$our_run/before-snapshot" ]',
        "",
        _GUARDED,
    ),
    _script(
        8,
        "the member list of anybody is believed, and the password sent to him",
        "wipe_joiner",
        '"cacert = \\"$k3s_data/server/tls/server-ca.crt\\""',
        "'insecure'",
        _GUARDED,
    ),
    _script(
        6,
        "data is put aside although k3s did not stop",
        "wipe_joiner",
        "timeout 100 systemctl stop k3s.service || fail 'k3s did not stop'",
        "timeout 100 systemctl stop k3s.service",
        _GUARDED,
    ),
    _script(
        6,
        "an empty member list lists nobody",
        "wipe_joiner",
        '    *) fail "the cluster at $url gave no member list" ;;\n',
        "",
        _GUARDED,
    ),
    _script(
        8,
        "k3s is put in place without its checksum",
        "download_k3s",
        '    printf \'%s  %s\\n\' "$sum" "$binary.part" | sha256sum -c --quiet - >&2\n',
        "",
        _GUARDED,
    ),
    _script(
        8,
        "the last words of k3s come with a password",
        "await_k3s",
        "    sed 's#://[^ ]*@#://#g'\n",
        "    cat\n",
        _GUARDED,
    ),
    _script(
        8,
        "a host key is rotated without a look at what sshd offers",
        "rotate_host_key",
        "until offered; do",
        "until true; do",
        _GUARDED,
    ),
)

_LOOP: Final = ("tests/sim/test_loop.py",)

LOOP: Final = (
    Mutation(
        law=10,
        what="a step begins without a look at the lock",
        file="reconcile.py",
        old="            await self.held.check()\n",
        new="",
        tests=_LOOP,
    ),
    Mutation(
        law=6,
        what="the lock of a run that lives is deleted",
        file="act/lock.py",
        old='if found is not None and ports.local.run_is_dead(found.labels.get(naming.LABEL_LOCK_RUN, "")):',
        new="if found is not None:",
        tests=_LOOP,
    ),
    Mutation(
        law=9,
        what="a run that left a master alone is converged",
        file="reconcile.py",
        old="self._unless_failed(ExitCode.PENDING if plan.left_alone else ExitCode.CONVERGED)",
        new="self._unless_failed(ExitCode.CONVERGED)",
        tests=("tests/sim/test_masters.py", "-k", "beside_it"),
    ),
    Mutation(
        law=2,
        what="the outcome of a step is folded into a listing that failed",
        file="act/state_patch.py",
        old="    if not isinstance(state.cloud, Known):\n        return state\n    state = replace(state.with",
        new="    state = replace(state.with",
        tests=("tests/act/test_folding.py",),
    ),
    Mutation(
        law=6,
        what="a run that is cancelled keeps its lock",
        file="act/lock.py",
        old="        await lock.release()\n",
        new="",
        tests=_LOOP,
    ),
)

_HETZNER: Final = ("tests/contract/test_adapter_guards.py",)

HETZNER: Final = (
    Mutation(
        law=2,
        what="a server that cannot be asked for is absent",
        file="adapters/hetzner/cloud.py",
        old='            if failure.code == "not_found":\n                return None\n            raise\n',
        new="            return None\n",
        tests=_HETZNER,
    ),
    Mutation(
        law=6,
        what="a deletion that failed is a success",
        file="adapters/hetzner/deletion.py",
        old='            if failure.code != "not_found":\n                raise\n            return',
        new="            return",
        tests=_HETZNER,
    ),
    Mutation(
        law=2,
        what="any action is a rebuild",
        file="adapters/hetzner/cloud.py",
        old=' if a.text("command") == "rebuild_server")',
        new=' if a.text("command"))',
        tests=_HETZNER,
    ),
    Mutation(
        law=2,
        what="a rebuild that failed is one",
        file="adapters/hetzner/cloud.py",
        old='{"sort": "id:desc", "status": "success", "per_page": 50}',
        new='{"sort": "id:desc", "per_page": 50}',
        tests=_HETZNER,
    ),
    Mutation(
        law=2,
        what="an action that is not listed has succeeded",
        file="adapters/hetzner/actions.py",
        old='self._resolve(action_id, unfinished(f"Hetzner does not know action {action_id} any more", "not_found"))',
        new="self._resolve(action_id, None)",
        tests=_HETZNER,
    ),
    Mutation(
        law=6,
        what="rules of a firewall are not waited for",
        file="adapters/hetzner/cloud.py",
        old='/actions/set_rules", body)\n        begun = answer.children("actions")',
        new='/actions/set_rules", body)\n        begun = answer.children("actions")[:0]',
        tests=_HETZNER,
    ),
    Mutation(
        law=6,
        what="no server is ever protected",
        file="adapters/hetzner/translate.py",
        old="        protected=protected(raw),\n        created=",
        new="        protected=False,\n        created=",
        tests=_HETZNER,
    ),
)

_KUBE: Final = ("tests/adapters/test_kube_guards.py",)
_OF_2X: Final = ("tests/adapters/test_kube_of_2x.py",)
_MAKES_ROOM: Final = ("tests/decide/test_addons_of_2x.py",)

KUBERNETES: Final = (
    Mutation(
        law=6,
        what="a Node is deleted whatever its UID",
        file="adapters/kube_session.py",
        old='"apiVersion": "v1", "preconditions": {"uid": uid}, **options}\n',
        new='"apiVersion": "v1", **options}\n',
        tests=_KUBE,
    ),
    Mutation(
        law=6,
        what="a deletion of a Node that was refused is no failure",
        file="adapters/kube_session.py",
        old="if refused.response.status_code not in (404, 409):\n                raise",
        new="del refused",
        tests=_KUBE,
    ),
    Mutation(
        law=6,
        what="every finalizer is taken off a Node",
        file="adapters/kube.py",
        old='for finalizer in metadata.texts("finalizers") if finalizer not in _K3S_FINALIZERS]',
        new="for finalizer in () if finalizer]",
        tests=_KUBE,
    ),
    Mutation(
        law=6,
        what="a Node that is not being deleted is released",
        file="adapters/kube.py",
        old=" or node.uid != uid or not node.deleting:",
        new=" or node.uid != uid:",
        tests=_KUBE,
    ),
    Mutation(
        law=6,
        what="the finalizers of a Node of another UID are dropped",
        file="adapters/kube.py",
        old='if not await kube_nodes.gone(name, uid)(session):\n                patch = {"metadata": {"uid": uid, ',
        new='if True:\n                patch = {"metadata": {',
        tests=_KUBE,
    ),
    Mutation(
        law=6,
        what="a workload of 2.x is deleted whatever its UID",
        file="adapters/kube_session.py",
        old='"apiVersion": "v1", "preconditions": {"uid": uid}, **options}\n',
        new='"apiVersion": "v1", **options}\n',
        tests=_OF_2X,
    ),
    Mutation(
        law=6,
        what="a workload of 2.x is gone before its pods are",
        file="adapters/kube_of_2x.py",
        old='propagationPolicy="Foreground"',
        new='propagationPolicy="Background"',
        tests=_OF_2X,
    ),
    Mutation(
        law=6,
        what="the rights of another's Helm release are deleted",
        file="adapters/kube_of_2x.py",
        old="_release(document) is None:\n            await session.delete",
        new="True:\n            await session.delete",
        tests=_OF_2X,
    ),
    Mutation(
        law=10,
        what="the add-ons of 2.x are replaced unasked",
        file="decide/rollout/addons.py",
        old="(found.is_gone or CONSENT in context.consents)",
        new="True",
        tests=_MAKES_ROOM,
    ),
    Mutation(
        law=2,
        what="the chart comes whatever its StorageClass is like",
        file="decide/desired/addons_of_2x.py",
        old="        if seen != wanted:\n",
        new="        if False:\n",
        tests=_MAKES_ROOM,
    ),
    Mutation(
        law=6,
        what="a deletion waits until nobody has the Node's name",
        file="adapters/kube_nodes.py",
        old="return node is None or kube_objects.node(node).uid != uid",
        new="return node is None",
        tests=_KUBE,
    ),
    Mutation(
        law=9,
        what="a deletion is not tried again while the API starts",
        file="adapters/kube.py",
        old="return code >= 500 or code in (404, 409, 429)",
        new="return code == 0",
        tests=_KUBE,
    ),
)

_SSH: Final = ("tests/adapters/test_ssh_guards.py",)

SSH: Final = (
    Mutation(
        law=8,
        what="a password is offered to a host",
        file="adapters/ssh.py",
        old='"preferred_auth": "publickey",',
        new='"preferred_auth": "publickey,password",',
        tests=_SSH,
    ),
    Mutation(
        law=8,
        what="the connection is kept after the host key was rotated",
        file="adapters/ssh.py",
        old="            if isinstance(operation, RotateHostKey):\n",
        new="            if False:\n",
        tests=_SSH,
    ),
    Mutation(
        law=6,
        what="an operation whose outcome cannot be asked did not happen",
        file="adapters/ssh.py",
        old="what + words(failure), fate=Fate.MAY_HAVE_HAPPENED",
        new="what + words(failure)",
        tests=_SSH,
    ),
    Mutation(
        law=9,
        what="an operation has no time limit",
        file="adapters/ssh.py",
        old="asyncio.timeout(invocation.limit)",
        new="asyncio.timeout(None)",
        tests=_SSH,
    ),
    Mutation(
        law=6,
        what="an operation that outlived its connection is not asked for",
        file="adapters/ssh.py",
        old="            if not operation.mutating:\n                raise unreachable(target, SshStage.SESSION",
        new="            if True:\n                raise unreachable(target, SshStage.SESSION",
        tests=_SSH,
    ),
)

GUARDS: Final[tuple[Mutation, ...]] = (*HOST_SCRIPTS, *LOOP, *HETZNER, *DELETIONS, *KUBERNETES, *SSH)
