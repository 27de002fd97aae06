"""The last runs that changed a cluster, as a ConfigMap in it keeps them for everybody who operates it.

One entry a run, under its id: who writes one leaves those of others as they are. Whoever may write to kube-system may
write anything there, so what is read is of bounded size and of its type, or it is no entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.model.text.printable import excerpt

CONFIG_MAP: Final = "hetzner-k3s-history"
KEPT: Final = 50
LONGEST_ENTRY: Final = 4000
"""Characters: so 50 of them fit into a ConfigMap, which holds 1 MiB, in any writing."""
_LONGEST_COMMAND: Final = 1000
_LONGEST_NAME: Final = 120
_LONGEST_RUN: Final = 10.0**9
_HIGHEST_CODE: Final = 255
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_MOMENT: Final = re.compile(r"[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}Z")
_OUTCOMES: Final[Mapping[int, str]] = {
    ExitCode.CONVERGED: "done",
    ExitCode.PENDING: "done, changes left",
    ExitCode.REFUSED: "refused",
    ExitCode.CLOUD_REFUSED: "Hetzner refused",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.BUG: "a bug",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run that changed the cluster: its id, whose it was, when it began (UNIX seconds), and how it ended."""

    run: str
    who: str
    began: float
    command: str
    code: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The runs that a cluster knows of, the newest first, and how many entries beside them are none."""

    runs: tuple[PastRun, ...] = ()
    skipped: int = 0


def outcome_of(code: int) -> str:
    """Return an exit code in words."""
    return _OUTCOMES.get(code, "failed")


def read_history(data: Mapping[str, object]) -> RunHistory:
    """Read the ConfigMap's data: as many runs as are kept, whatever it holds."""
    runs = _newest_first(data)
    return RunHistory(runs[:KEPT], len(data) - len(runs))


def with_run(data: Mapping[str, object], run: PastRun) -> dict[str, str | None]:
    """Return the change of the ConfigMap's data that adds a run, and takes out (None) what is beyond those kept.

    What is no entry stays for as long as there is room for it, and unless it is longer than one.
    """
    others = [known.run for known in _newest_first(data) if known.run != run.run]
    strange = sorted(key for key in data if key not in {run.run, *others} and _is_short(data[key]))
    gone = set(data).difference([*others, *strange][: KEPT - 1], [run.run])
    return {run.run: _written(run), **dict.fromkeys(sorted(gone))}


def _newest_first(data: Mapping[str, object]) -> tuple[PastRun, ...]:
    return tuple(sorted(_runs(data), key=lambda run: (run.began, run.run), reverse=True))


def _runs(data: Mapping[str, object]) -> Iterable[PastRun]:
    for key, value in data.items():
        try:
            yield _entry(key, value)
        except Malformed:
            continue


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_ENTRY


def _entry(run: str, value: object) -> PastRun:
    """Read one entry.

    Raises:
        Malformed: it is none.
    """
    if not _ID.fullmatch(run) or not isinstance(value, str) or not _is_short(value):
        raise Malformed("it is no entry of a run")
    entry = Document.parsed(value)
    code, seconds = entry.whole("exit_code"), entry.number("seconds")
    if code > _HIGHEST_CODE or not 0 <= seconds <= _LONGEST_RUN:
        raise Malformed("a number is out of range")
    if not _MOMENT.fullmatch(entry.text("when")):
        raise Malformed("when is not written as we write it")
    return PastRun(
        run=run,
        who=excerpt(entry.text("who"), _LONGEST_NAME),
        began=entry.moment("when"),
        command=excerpt(entry.text("command"), _LONGEST_COMMAND),
        code=code,
        seconds=seconds,
    )


def _written(run: PastRun) -> str:
    """Write an entry, for `kubectl` and whoever reads it there as well as for us."""
    entry = {
        "when": f"{datetime.fromtimestamp(run.began, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "who": excerpt(run.who, _LONGEST_NAME),
        "command": excerpt(run.command, _LONGEST_COMMAND),
        "outcome": outcome_of(run.code),
        "exit_code": run.code,
        "seconds": round(run.seconds, 1),
    }
    return json.dumps(entry, ensure_ascii=False)
