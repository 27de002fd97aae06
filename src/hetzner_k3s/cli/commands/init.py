"""`hetzner-k3s init`: a first configuration file, from flags or from answers at a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hetzner_k3s.cli.output import say, tell
from hetzner_k3s.cli.render import terminal
from hetzner_k3s.model.errors import ExitCode

if TYPE_CHECKING:
    from hetzner_k3s.config.first_file import Wishes

_KEYS: Final = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked where a flag is not given; `settings` are the keys of the file that the answer decides."""

    field: str
    text: str
    settings: tuple[str, ...]
    read: Callable[[str], Any] = str


def _texts(answer: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[,\s]+", answer) if part)


_QUESTIONS: Final = (
    _Question("name", "Name of the cluster", ("cluster_name",)),
    _Question("masters", "Masters (1, 3, 5, …)", ("masters_pool.instance_count",), int),
    _Question("workers", "Workers (0: pods run on the masters)", ("worker_node_pools[0].instance_count",), int),
    _Question("instance_type", "Server type", ("masters_pool.instance_type",)),
    _Question("locations", "Locations (one, or one for each master)", ("masters_pool.locations",), _texts),
    _Question("k3s_version", "Release of k3s", ("k3s_version",)),
    _Question("ssh_key", "Your private SSH key", ("networking.ssh",)),
    _Question("allow", "Networks that may reach SSH and the API", ("networking.allowed_networks",), _texts),
)


@click.command()
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="cluster.yaml",
    show_default=True,
    help="The file to write, which must not be there yet.",
)
@click.option("--name", help="Name of the cluster. [default: my-cluster]")
@click.option("--masters", type=click.IntRange(min=1), help="How many masters: 1, 3, 5, … [default: 3]")
@click.option("--workers", type=click.IntRange(min=0), help="How many workers; 0: pods run on masters. [default: 2]")
@click.option("--instance-type", help="Server type of all. [default: cpx22]")
@click.option(
    "--location", "locations", multiple=True, help="Of all, or given once for each master. [default: fsn1 hel1 nbg1]"
)
@click.option("--k3s-version", help="Release of k3s. [default: the one that this release was tried with]")
@click.option("--ssh-key", help="Private SSH key; its public one is FILE.pub. [default: the one in ~/.ssh]")
@click.option("--allow", multiple=True, metavar="CIDR", help="Who may reach SSH and the API. [default: everybody]")
def init(config: Path, **given: Any) -> ExitCode:
    """Write a first configuration file, commented, and its JSON schema for your editor.

    At a terminal what no flag says is asked for; elsewhere the defaults hold. The file is valid, and a file that is
    there already is never overwritten.
    """
    from hetzner_k3s.config.first_file import SCHEMA_FILE, first_file

    if config.exists():
        raise click.UsageError(f"{config} is there already, and is left as it is; name another file with --config")
    wishes = _wishes({field: value for field, value in given.items() if value not in (None, ())})
    if problems := list(_problems(wishes, config)):
        raise click.UsageError("\n".join(problems))
    _write_new(config, first_file(wishes))
    _write_schema(config.with_name(SCHEMA_FILE))
    tell(str(config))
    _note_missing_key(wishes.ssh_key)
    say(f"next: export HCLOUD_TOKEN=… && hetzner-k3s plan --config {config}")
    return ExitCode.CONVERGED


def _note_missing_key(path: str) -> None:
    if not _is_there(path):
        say(f"note: there is no {path}.pub yet; `ssh-keygen -t ed25519 -f {path}` makes a key")


def _wishes(given: dict[str, Any]) -> Wishes:
    from hetzner_k3s.config.first_file import Wishes

    wishes = _with_defaults(replace(Wishes(ssh_key=_own_key()), **given), given)
    for question in _QUESTIONS if terminal.is_tty(sys.stdin) else ():
        if question.field not in given:
            given[question.field] = _asked(question, wishes)
            wishes = _with_defaults(replace(wishes, **given), given)
    return wishes


def _with_defaults(wishes: Wishes, given: dict[str, Any]) -> Wishes:
    """Spread masters over three locations where there are three, unless locations were given."""
    if "locations" in given:
        return wishes
    return replace(wishes, locations=("fsn1", "hel1", "nbg1") if wishes.masters == 3 else ("fsn1",))


def _own_key() -> str:
    """Return the first usual key of this user, as the file would name it."""
    return next(filter(_is_there, _KEYS), _KEYS[0])


def _is_there(key: str) -> bool:
    try:
        return Path(f"{key}.pub").expanduser().is_file()
    except (RuntimeError, OSError):  # no home, or one of somebody else
        return False


def _asked(question: _Question, wishes: Wishes) -> Any:
    """Ask until the answer is one that a valid file can have."""
    before = getattr(wishes, question.field)
    shown = ", ".join(before) if isinstance(before, tuple) else str(before)
    while True:
        answer = click.prompt(question.text, default=shown, err=True)
        try:
            value = question.read(str(answer))
        except ValueError:
            say(f"{answer!r} is no whole number")
            continue
        problems = list(_problems(replace(wishes, **{question.field: value}), Path("cluster.yaml"), question.settings))
        if not problems:
            return value
        for problem in problems:
            say(problem)


def _problems(wishes: Wishes, config: Path, settings: Sequence[str] = ("",)) -> Iterator[str]:
    """Return what is wrong with a file of these wishes: about some settings, or all."""
    from hetzner_k3s.config.first_file import first_file
    from hetzner_k3s.config.loader import check_text

    for finding in check_text(first_file(wishes), str(config)):
        if finding.severity == "error" and finding.key.startswith(tuple(settings)):
            yield f"{finding.key}: {finding.message}"


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def _write_schema(path: Path) -> None:
    from hetzner_k3s.config.json_schema import document

    try:
        _write_new(path, json.dumps(document(), indent=2) + "\n")
    except FileExistsError:
        say(f"note: {path} is there already, and is left as it is; `hetzner-k3s schema` prints the one of this release")
