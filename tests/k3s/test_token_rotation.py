"""What k3s takes after `k3s token rotate` on one server: second/20 and 21.

See docs/facts/k3s.md#token-rotation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .clusters import birth, join
from .rig import PASSWORD, Host, Rig

pytestmark = pytest.mark.realhosts


def _recorded(recordings: Path, host: str, what: str) -> str:
    """Read the last line of a recording about one host: its exit code, or HTTP status."""
    text = (recordings / "second" / "20-f5-rotate.txt").read_text().partition("== k3s token rotate")[2]
    found = re.findall(rf"^{host} {re.escape(what)}.*?(?:rc=|HTTP )(\d+)", text, re.MULTILINE)
    assert found, what
    return str(found[0])


def _save(host: Host) -> tuple[str, str]:
    ended = host.sh('k3s etcd-snapshot save --name t5 2>&1; echo "rc=$?"', check=False)
    return ended.rpartition("rc=")[2].strip(), ended


def test_only_where_it_was_rotated_k3s_takes_no_command(new_rig: Callable[..., Rig], recordings: Path) -> None:
    first = birth(new_rig())
    second = join(first.rig, "master2", first)
    assert _save(first)[0] == "0"
    first.sh("k3s token rotate --new-token another-password")
    for host, name in ((first, "demo-master1"), (second, "demo-master2")):
        code, said = _save(host)
        assert code == _recorded(recordings, name, "etcd-snapshot save"), said
        for user in ("server", "node"):
            for which, password in (("OLD", PASSWORD), ("NEW", "another-password")):
                wanted = _recorded(recordings, name, f"supervisor /v1-k3s as {user} with the {which} token")
                path = "server-bootstrap" if user == "server" else "config"
                answer = host.curl(f"https://127.0.0.1:6443/v1-k3s/{path}", "-u", f"{user}:{password}")
                assert str(answer.code) == wanted, (name, user, which)
    assert "level=fatal" in _save(first)[1]
    assert "Error: see server log for details: not authorized" in _save(first)[1]
