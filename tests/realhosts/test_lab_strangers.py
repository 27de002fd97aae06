"""Another user of the machine reaches nothing of a lab: not its interface, not its files, not what its hosts own."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from tests.realhosts.lab_servers import make_keys, make_server, wait_booted

from hetzner_k3s.lab.realhosts import lifecycle
from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.rootfs import cache_dir

NOBODY = 65534
PLANTED = "/usr/local/bin/become-root"
"""A setuid program that root inside of a host made, as user data can have it made."""


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=["umask 000", "umask 022", "umask 077"])
def lab(request: pytest.FixtureRequest) -> Iterator[LabHandle]:
    """Run a lab below a folder that everybody may enter, started under an umask."""
    above = Path(tempfile.mkdtemp(prefix="lab-strangers-"))
    above.chmod(0o755)
    before = os.umask(request.param)
    try:
        yield LabHandle(lifecycle.up(above / "state", "instant", None, say=sys.stderr.write))
    finally:
        os.umask(before)
        lifecycle.down(above / "state")
        shutil.rmtree(above)


def as_nobody(endpoint: str, *paths: Path) -> list[str]:
    """Try to get at things as another local user, in a child of this process; give what could be done."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:  # nothing of pytest may run on here
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(tell, "\n".join([*_reached(paths), *_granted(endpoint)]).encode())
        except BaseException as error:  # noqa: BLE001
            os.write(tell, f"broken: {error!r}".encode())
        finally:
            os._exit(0)
    os.close(tell)
    with open(told, encoding="utf-8") as answer:
        got = answer.read()
    os.waitpid(child, 0)
    return got.splitlines()


def _reached(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        attempts: dict[str, Callable[[Path], object]] = {"list": os.listdir, "read": Path.read_bytes}
        if path.name == Path(PLANTED).name:
            attempts["stat"] = os.stat
        for name, attempt in attempts.items():
            with contextlib.suppress(OSError):
                attempt(path)
                yield f"{name} {path}"


def _granted(endpoint: str) -> Iterator[str]:
    grant = b'{"token": "mine", "project": "lab"}'
    for method, path, body in (
        ("POST", "tokens", grant),
        ("GET", "state", None),
        ("GET", "hosts", None),
        ("DELETE", "faults", None),
    ):
        connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=10)
        connection.request(method, f"/_lab/{path}", body)
        if (status := connection.getresponse().status) != 401:
            yield f"{method} /_lab/{path}: {status}"


def test_a_stranger_reaches_neither_the_interface_nor_what_a_host_owns(lab: LabHandle, tmp_path: Path) -> None:
    """He granted himself a token, ordered a server with user data, and ran its setuid file as root."""
    box = make_server(lab, "box", make_keys(tmp_path))
    wait_booted(box)
    box.exec(f"cp /bin/sh {PLANTED} && chmod 4755 {PLANTED}", check=True)
    state = lab.running.state
    planted = [path for path in state.hosts.rglob("become-root") if path.is_file()]
    assert any(path.stat().st_mode & stat.S_ISUID for path in planted), "the test plants nothing"
    processes = [Path(f"/proc/{pid}/root") for pid in (lab.running.daemon, *lab.running.record.group.processes())]
    got = as_nobody(
        lab.endpoint.removesuffix("/v1"),
        state.folder,
        state.token,
        state.admin_token,
        state.log,
        state.hosts,
        *planted,
        *processes,
        cache_dir(),
        *cache_dir().glob("*"),
    )
    assert got == []


def test_a_host_is_as_usual_inside_whatever_the_umask_was(lab: LabHandle, tmp_path: Path) -> None:
    box = make_server(lab, "box", make_keys(tmp_path))
    wait_booted(box)
    seen = box.exec("stat -c %a / /etc /etc/hosts; setpriv --reuid 65534 --clear-groups cat /etc/hostname", check=True)
    assert seen.stdout.split() == ["755", "755", "644", "box"]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (lab.running.state.folder, cache_dir())}
    assert set(modes.values()) == {0o700}, modes
    for secret in (lab.running.state.token, lab.running.state.admin_token):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
