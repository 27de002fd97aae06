"""A first start that is killed around the moment when etcd begins its log: fixtures second/17 to 19, driven anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .clusters import SERVER, token_of
from .recording import messages
from .rig import Host, Rig, eventually

pytestmark = pytest.mark.realhosts

_WAL = f"{SERVER}/db/etcd/member/wal"
_PERMIT = {"K3S_CLUSTER_INIT": "true"}


def killed_after_the_log_began(rig: Rig, seconds: float) -> Host:
    host = rig.host("master1")
    host.server_config()
    host.start(environment=_PERMIT)
    eventually("the log", lambda: any(host.path(_WAL).glob("*.wal")), 20)
    time.sleep(seconds)
    host.kill()
    return host


def ends_with(host: Host, *words: str) -> None:
    for _ in range(2):
        host.start()
        host.wait_end()
        level, last = messages(host.log)[-1]
        assert level == "fatal", host.tail()
        assert last in words, host.tail()


def begins_anew(host: Host) -> None:
    """Remove the log alone and start with the permit: the CA is the same."""
    before = host.path(f"{SERVER}/tls/server-ca.crt").read_bytes()
    host.wipe(f"{SERVER}/db")
    host.start(environment=_PERMIT).wait_ready()
    assert host.path(f"{SERVER}/tls/server-ca.crt").read_bytes() == before
    assert token_of(host).startswith("K10")


def recorded_end(recordings: Path, name: str) -> str:
    return next(text for level, text in messages((recordings / "second" / name).read_text()) if level == "fatal")


def test_killed_right_after_its_log_it_never_starts_again(new_rig: Callable[..., Rig], recordings: Path) -> None:
    assert "0000000000000000-0000000000000000.wal" in (recordings / "second" / "17-f4-crash.txt").read_text()
    host = killed_after_the_log_began(new_rig(), 0)
    # On a machine that is busy the kill may come when etcd has committed something already.
    ends_with(host, recorded_end(recordings, "18-f4-heal.txt"), recorded_end(recordings, "19-f4-later.txt"))
    begins_anew(host)


def test_killed_before_its_bootstrap_data_it_never_starts_again(new_rig: Callable[..., Rig], recordings: Path) -> None:
    # `typical`: the first election takes some seconds, so that no machine is too fast for the kill.
    host = killed_after_the_log_began(new_rig("typical"), 0.3)
    ends_with(host, recorded_end(recordings, "19-f4-later.txt"))
    begins_anew(host)


def test_killed_after_its_bootstrap_data_it_goes_on(new_rig: Callable[..., Rig]) -> None:
    host = new_rig().host("master1")
    host.server_config()
    host.start(environment=_PERMIT).wait_ready()
    host.kill()
    host.start().wait_ready()
