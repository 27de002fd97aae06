"""Nothing from outside reaches the terminal, the journal or a report raw, and no secret that is known here at all."""

from __future__ import annotations

import ast
import asyncio
import json
import logging
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import click
import pytest
from tests.adapters.answering import Answer, answering

from hetzner_k3s.adapters.hetzner import HetznerCloud
from hetzner_k3s.adapters.s3 import S3Objects
from hetzner_k3s.adapters.ssh import SshHosts
from hetzner_k3s.adapters.system import OperatorMachine, SystemClock, SystemRng
from hetzner_k3s.cli import exits, library_log, output, wiring
from hetzner_k3s.hosts import operations
from hetzner_k3s.model.errors import HostUnreachable, ProductError
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.members import ReadMembers
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import S3Spec

ROOT = Path(__file__).parents[2]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\nrefused: forged\r\x00\u2028"
ESCAPED = r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\nrefused: forged\r\x00\u2028"
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")


def assert_harmless(text: str) -> None:
    """Hold that a text has nothing but lines of printable characters."""
    assert all(line.isprintable() for line in text.rstrip("\n").split("\n")), repr(text)
    assert "\nrefused: forged" not in text


def of_host() -> ProductError:
    with pytest.raises(ProductError) as told:
        operations.read_result(Probe(), json.dumps({"error": "failed", "message": EVIL}), HostKeyKind.FINAL, "m1")
    return told.value


def of_host_noise() -> ProductError:
    with pytest.raises(ProductError) as told:
        operations.read_result(Probe(), f"{EVIL}!", HostKeyKind.FINAL, "m1")
    return told.value


def of_hetzner() -> ProductError:
    said = json.dumps({"error": {"code": "forbidden", "message": EVIL}}).encode()
    with answering(lambda _method, _path: Answer(said, 403)) as api, pytest.raises(ProductError) as told:
        asyncio.run(HetznerCloud(Secret("a" * 64), clock=SystemClock(), rng=SystemRng(), endpoint=api.url).servers())
    return told.value


def of_s3() -> ProductError:
    said = "&#xA;".join(EVIL.translate({0: None, 27: None, 7: None}).split("\n"))
    body = f"<?xml version='1.1'?><Error><Code>AccessDenied</Code><Message>{said}</Message></Error>".encode()
    headers = {"Content-Type": "application/xml"}
    with answering(lambda _method, _path: Answer(body, 403, headers=headers)) as store:
        bucket = S3Objects(
            S3Spec(
                endpoint=f"127.0.0.1:{store.port}",
                bucket="b",
                access_key=Secret("access-key-1"),
                secret_key=Secret("secret-key-1"),
                region="eu",
                folder="f",
                insecure=True,
            )
        )
        with pytest.raises(ProductError) as told:
            asyncio.run(bucket.snapshots("f"))
    return told.value


@asynccontextmanager
async def speaking(first: bytes) -> AsyncIterator[int]:
    """Serve whatever is said first, to anybody who connects."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        await reader.read(4096)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def disconnect(why: str) -> bytes:
    """Make the packet that ends an SSH connection, which may come before any key was shown."""
    text = why.encode()
    payload = struct.pack(">BII", 1, 2, len(text)) + text + struct.pack(">I", 0)
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def of_ssh(tmp_path: Path, first: bytes) -> HostUnreachable:
    (tmp_path / "key").write_bytes(CLIENT_KEY.export_private_key())
    public = CLIENT_KEY.export_public_key().decode()
    ssh = SshHosts(clock=SystemClock(), rng=SystemRng(), private_key_path=str(tmp_path / "key"), public_key=public)

    async def story() -> HostUnreachable:
        async with speaking(first) as port:
            target = HostTarget(server_id=1, name="m1", address="127.0.0.1", port=port, keys={"a": HostKeyKind.FINAL})
            with pytest.raises(HostUnreachable) as told:
                await ssh.perform(target, ReadMembers())
            return told.value

    return asyncio.run(story())


SPOKEN = {
    "a disconnect before any host key": b"SSH-2.0-x\r\n" + disconnect(EVIL),
    "a banner": EVIL.replace("\n", "\r\n").encode() + b"\r\nSSH-2.0-x\r\n" + disconnect("bye"),
    "a version": b"SSH-1.0-" + EVIL.encode() + b"\r\n",
    "no SSH": b"HTTP/1.1 200 OK\r\n\r\n" + EVIL.encode(),
}


def shown(error: ProductError, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a user sees when a command ends with an error."""

    @click.command()
    def command() -> None:
        wiring.to_stderr(f"m1: {error}")
        raise error

    exits.run(command, [])
    return capsys.readouterr().err


@pytest.mark.parametrize("source", [of_host, of_host_noise, of_hetzner], ids=lambda source: source.__name__)
def test_a_message_from_outside_is_shown_escaped(
    source: Callable[[], ProductError], capsys: pytest.CaptureFixture[str]
) -> None:
    seen = shown(source(), capsys)
    assert ESCAPED in seen
    assert_harmless(seen)


def test_a_message_of_s3_is_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert_harmless(shown(of_s3(), capsys))


@pytest.mark.parametrize("first", SPOKEN.values(), ids=SPOKEN.keys())
def test_what_ssh_says_before_any_key_was_checked_is_shown_escaped(
    first: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen: the text of a disconnect reached the terminal as it was, from anybody who answers on that address."""
    failure = of_ssh(tmp_path, first)
    assert_harmless(failure.why)
    assert_harmless(shown(failure, capsys))


def test_names_of_files_are_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    output.tell(f"{EVIL}.db  master1")
    output.tell_document({"name": f"{EVIL}.db", "half": "\ud800"})
    out = capsys.readouterr().out
    assert_harmless(out)
    assert json.loads(out[out.index("{") :])["name"] == f"{EVIL}.db"


def test_the_journal_has_one_line_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    machine = OperatorMachine(cluster="demo", kubeconfig=tmp_path / "kubeconfig", run="r1", clock=SystemClock())
    machine.record("failed", {"step": "Probe", "message": f"{EVIL} {TOKEN}"})
    (line,) = (tmp_path / "hetzner-k3s/demo/runs/r1.jsonl").read_text().splitlines()
    assert_harmless(line)
    assert json.loads(line)["message"] == f"{ESCAPED} ********"


SERVER_PASSWORD = "the-password-of-the-server"
TOKEN = f"K10{'ab' * 32}::server:{SERVER_PASSWORD}"
KUBECONFIG = "users:\n- name: default\n  user:\n    client-key-data: LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCg==\n"
LINE = "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAwHKsC2W"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{LINE}\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def secrets() -> list[Secret]:
    """Know some secrets, as a run does."""
    return [Secret(TOKEN), Secret(KUBECONFIG), Secret(KEY), Secret("an-s3-secret-key")]


FORMS = [
    TOKEN,
    SERVER_PASSWORD,
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCg==",
    LINE,
    "an-s3-secret-key",
]


@pytest.mark.parametrize("form", FORMS)
def test_no_secret_in_an_error_or_a_report(
    form: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert form not in shown(ProductError(f"it said {form}!", hint=form), capsys)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    @click.command()
    def command() -> None:
        raise KeyError(f"{form} {EVIL}")

    assert exits.run(command, []) == 70
    (report,) = tmp_path.glob("hetzner-k3s-crash-*")
    assert form not in capsys.readouterr().err + report.read_text()
    assert_harmless(report.read_text())


@pytest.mark.usefixtures("no_collection")
def test_what_libraries_log_is_dropped_or_said_harmlessly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio logs the failed tasks that earlier tests left when they are collected: before this test, not in it."""
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", False)  # import-linter disables it in this process
    library_log.take_over()
    library_log.take_over()
    logging.getLogger("urllib3.connectionpool").warning("retrying %s", EVIL)
    assert capsys.readouterr().err == ""
    logging.getLogger("a.library").error("lost %s", EVIL + TOKEN)
    seen = capsys.readouterr().err
    assert seen.count("\n") == 1
    assert_harmless(seen)
    assert SERVER_PASSWORD not in seen


def test_the_terminal_has_one_door() -> None:
    """The lab's own commands and questions to the user say nothing that came from outside."""
    at_the_door = {"output.py", "lab.py", "lab_simulate.py"}
    others = [path for path in (ROOT / "src/hetzner_k3s/cli").rglob("*.py") if path.name not in at_the_door]
    raw = [
        f"{path.name}:{node.lineno}"
        for path in others
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"click.echo", "click.secho", "print"}
    ]
    assert raw == []
