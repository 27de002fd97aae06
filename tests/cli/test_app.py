"""The command itself: help, version, usage errors, and what becomes of exceptions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from inline_snapshot import snapshot

from hetzner_k3s.cli.app import main
from hetzner_k3s.cli.exits import run
from hetzner_k3s.model.errors import CloudRefused, DeadlineExceeded, Fate, LockHeld

from .conftest import Invoke

_HEAVY = ("pydantic", "asyncssh", "hcloud", "lightkube", "ruamel", "rich", "cryptography", "asyncio", "anyio")


def test_help_lists_the_commands(invoke: Invoke) -> None:
    ended = invoke("--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == snapshot(
        """\
Usage: hetzner-k3s [OPTIONS] COMMAND [ARGS]...

  Make a highly available k3s cluster on Hetzner Cloud from one YAML file, and
  keep it so.

  Whatever was lost, `hetzner-k3s create -c cluster.yaml` brings it back, or
  refuses and says why.

Options:
  --version   Print the version.
  -h, --help  Show this message and exit.

Commands:
  init        Write a first configuration file.
  validate    Check a configuration file, without token or network.
  create      Make the cluster, or bring it back to what the file says.
  plan        Show what `create` would do, and why.
  status      Show what is there and what would be done.
  kubeconfig  Write the kubeconfig, from any healthy master.
  run         Run a command or script on all hosts, or some.
  ssh         Run a command on a host, or open a shell there.
  backup      Write all that brings the cluster back to a folder.
  snapshots   Show which snapshots there are, and where.
  delete      Delete the cluster's servers and resources.
  history     Show earlier runs, and where their time went.
  replace     Replace one server by a new one of its name.
  upgrade     Upgrade k3s on all servers, one after another.
  releases    Print which releases of k3s there are.
  schema      Print the configuration file's JSON schema.
  explain     Explain the code of a refusal.
  lab         Run an emulated Hetzner cloud on this machine.
"""
    )


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from hetzner_k3s.cli.app import cli\n"
        "from hetzner_k3s.cli.exits import run\n"
        "run(cli, ['--help'])\n"
        f"print(*[m for m in {_HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == "\n"


@pytest.mark.parametrize("command", ["create", "status", "delete"])
def test_every_command_explains_itself(invoke: Invoke, command: str) -> None:
    ended = invoke(command, "--help")
    assert ended.code == 0
    assert "-c, --config" in ended.out


def test_version_is_data(invoke: Invoke) -> None:
    ended = invoke("--version")
    assert (ended.code, ended.err) == (0, "")
    assert re.fullmatch(
        r"hetzner-k3s-py \d+\.\d+\.\d+ \(Python \d+\.\d+\.\d+; file format of hetzner-k3s 2\.6\)\n", ended.out
    )


@pytest.mark.parametrize("arguments", [["creat"], ["create"], ["create", "--config"], ["create", "--no-such-option"]])
def test_wrong_usage_ends_in_2(invoke: Invoke, arguments: list[str]) -> None:
    ended = invoke(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "error: " in ended.err


def _raising(error: BaseException) -> click.Command:
    @click.command()
    def fail() -> None:
        raise error

    return fail


_REFUSED = CloudRefused(
    "unable to authenticate", code="unauthorized", fate=Fate.DID_NOT_HAPPEN, hint="Check the token."
)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            DeadlineExceeded("waited 5 s in vain", hint="Run it again."),
            1,
            "error: waited 5 s in vain\n       Run it again.\n",
        ),
        (LockHeld("held by alice"), 4, "error: held by alice\n"),
        (_REFUSED, 5, "error: unable to authenticate\n       Check the token.\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted; run the same command again: it goes on where it was\n"),
    ],
)
def test_every_error_has_its_exit_code(
    capfd: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    assert run(_raising(error), []) == code
    assert capfd.readouterr() == ("", said)


def test_a_bug_is_one_line_and_a_private_file(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(_raising(ZeroDivisionError("oh no")), []) == 70
    said = capfd.readouterr().err
    (report,) = tmp_path.iterdir()
    assert said.count("\n") == 1
    assert str(report) in said
    assert "Traceback" not in said
    assert "oh no" in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["--nonsense"], 2)])
def test_the_program_ends_with_the_exit_code(arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["hetzner-k3s", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
