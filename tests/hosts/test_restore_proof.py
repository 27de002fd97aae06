"""What proves a restore, on a make-believe host: k3s exits 0 on failure too.

See docs/facts/k3s.md#restore.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hosts.test_disaster_scripts import FAILURE, SUCCESS, MakeBelieve


@pytest.fixture
def fresh(tmp_path: Path) -> MakeBelieve:
    """Give a host without data whose configuration joins nobody."""
    made = MakeBelieve(tmp_path)
    for folder in ("bin", "run", "state", "k3s"):
        (tmp_path / folder).mkdir()
    made.config.write_text("token: x\nnode-name: m1\n")
    made.stub("systemctl", 'case "$*" in *"ActiveState --value"*) echo inactive ;; esac\n')
    return made


def _data(host: MakeBelieve) -> str:
    wal = host.data / "server/db/etcd/member/wal"
    return f'mkdir -p "{wal}" && : >"{wal}/0.wal"\n'


def test_a_snapshot_is_restored(fresh: MakeBelieve) -> None:
    fresh.stub("k3s", _data(fresh) + SUCCESS)
    assert fresh.answer("restore_snapshot", "kept-x", "2222", "1111", "-") == {"result": {}}
    assert (fresh.state / "lineage").read_text() == "2222 1111\n"
    assert not (fresh.state / "restoring").exists()


def test_an_exit_code_of_zero_proves_no_restore(fresh: MakeBelieve) -> None:
    fresh.stub("k3s", _data(fresh) + FAILURE)
    refused = fresh.answer("restore_snapshot", "kept-x", "2222", "1111", "-")
    assert refused["error"] == "failed"
    assert "encrypted with different token" in str(refused["message"])
    assert not (fresh.state / "lineage").exists()
    assert (fresh.state / "restoring").exists(), "what lies here is half a restore"


def test_words_of_success_without_data_prove_no_restore(fresh: MakeBelieve) -> None:
    fresh.stub("k3s", SUCCESS)
    assert fresh.answer("restore_snapshot", "kept-x", "2222", "1111", "-")["error"] == "failed"
    assert not (fresh.state / "lineage").exists()
