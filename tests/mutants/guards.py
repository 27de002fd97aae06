"""Preconditions, verifications, fences, waits and retries taken out one at a time, and the tests that must notice.

Each of these once survived the whole suite; those of the host scripts act on a scratch root, those of the adapters over
HTTP against the lab, those of the loop in the simulation.
"""

from __future__ import annotations

from typing import Final

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

GUARDS: Final[tuple[Mutation, ...]] = HOST_SCRIPTS
