"""`ports.Local`: kubeconfig and run journal on the operator's machine.

The journal lies in `$XDG_STATE_HOME/hetzner-k3s/<cluster>/`: `runs/<run>.jsonl`, locked as long as the run lives, and
`births.jsonl`, the births that began here and the deletions that closed them.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from hetzner_k3s.adapters.system import births, kept_tokens, known_hosts, rescues
from hetzner_k3s.adapters.system.births import Births, Project
from hetzner_k3s.adapters.system.files import append_private, kept_copy, naming, write_private
from hetzner_k3s.adapters.system.given import GivenSnapshot
from hetzner_k3s.adapters.system.kubeconfig import merged, read_kubeconfig, without
from hetzner_k3s.model.errors import LocalTrouble
from hetzner_k3s.model.secrets import Secret, masked
from hetzner_k3s.model.state import UNREADABLE, LocalEvidence, MergedKubeconfig, Rescue
from hetzner_k3s.model.text.printable import printable
from hetzner_k3s.model.tokens import ClusterTokens, agents_of, servers_of
from hetzner_k3s.ports import Clock

_RUN_ID: Final = re.compile(r"[0-9A-Za-z_-]+")
_RUNS_KEPT: Final = 50


def state_directory(cluster: str) -> Path:
    """Return the folder where this machine remembers runs of a cluster.

    Raises:
        LocalTrouble: the user has no home.
    """
    try:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:
        raise LocalTrouble(
            "this user has no home folder to remember runs in", hint="Set HOME or XDG_STATE_HOME to a folder."
        ) from None
    return Path(base) / "hetzner-k3s" / cluster


def own_kubeconfig() -> Path:
    """Return the kubeconfig that kubectl reads unasked, and writes: the first of `$KUBECONFIG`, else `~/.kube/config`.

    Raises:
        LocalTrouble: the user has no home.
    """
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    try:
        return Path(named[0]) if named else Path.home() / ".kube" / "config"
    except RuntimeError:
        raise LocalTrouble(
            "this user has no home folder with a kubeconfig in it", hint="Set KUBECONFIG to the file to write into."
        ) from None


class OperatorMachine:
    """`ports.Local` for one run on one cluster.

    Args:
        cluster: its name.
        kubeconfig: the configured path.
        run: this run's id, as in the operator lock's labels.
        clock: for the times in the journal.
        tokens: k3s tokens that the user handed to this run, for the restore of a snapshot.
        address: the address that this machine has in the internet, where it knows it.
        project: which project it works in.
        given: the snapshot that the run's `Restore` names by its path; a backup's token is one of the tokens.
    """

    def __init__(
        self,
        *,
        cluster: str,
        kubeconfig: Path,
        run: str,
        clock: Clock,
        tokens: Sequence[Secret] = (),
        project: Project | None = None,
        given: GivenSnapshot | None = None,
        address: str | None = None,
    ) -> None:
        self._address = address
        handed = (*(given.tokens if given is not None else ()), *tokens)
        self._tokens, self._agent_tokens = servers_of(handed), agents_of(handed)
        self._given = given
        self._cluster = cluster
        self._kubeconfig = kubeconfig
        self._run = run
        self._clock = clock
        self._state = state_directory(cluster)
        self._rescues = self._state / "rescue"
        self._kept_tokens = self._state / "tokens"
        here = project or Project(key="", lab="", config="", kubeconfig=str(kubeconfig))
        self._births = Births(self._state / "births.jsonl", here)
        self._journal: IO[str] | None = None

    def evidence(self) -> LocalEvidence:
        """Read what this machine remembers of the cluster."""
        found = read_kubeconfig(self._kubeconfig, self._cluster)
        closed = self._births.closed_cas()
        # `delete --force` leaves the file, as 2.6 does; what a lab's cluster left is of no cluster any more.
        is_closed = found.ca is not None and (found.ca in closed or self._births.is_of_another_lab(found.ca))
        return LocalEvidence(
            kubeconfig_ca=None if is_closed else found.ca,
            kubeconfig_servers={} if is_closed else dict(found.servers),
            open_birth=self._births.is_open(),
            token_hashes=tuple(self._tokens),
            agent_hashes=tuple(self._agent_tokens),
            kept=tuple(held.held for held in kept_tokens.found(self._kept_tokens)),
            given_up=() if is_closed else tuple(sorted(closed)),
            rescues=() if is_closed else rescues.found(self._rescues),
            snapshot=self._given.file if self._given else None,
            public_address=self._address,
        )

    def snapshot(self) -> AsyncIterator[bytes]:
        """Read the snapshot file that the user named, in pieces."""
        if self._given is None:
            raise LookupError("no snapshot file was named")
        return self._given.pieces()

    def token(self, token_hash: str) -> Secret | None:
        """Return the servers' token with this hash out of those that this run was handed, or earlier ones kept."""
        kept = servers_of(held.server for held in kept_tokens.found(self._kept_tokens))
        return self._tokens.get(token_hash) or kept.get(token_hash)

    def agent_token(self, token_hash: str) -> Secret | None:
        """Return the agents' token with this hash, likewise."""
        kept = agents_of(held.agent for held in kept_tokens.found(self._kept_tokens) if held.agent is not None)
        return self._agent_tokens.get(token_hash) or kept.get(token_hash)

    def keep_tokens(self, tokens: ClusterTokens) -> str:
        """Keep a cluster's tokens, and say where."""
        return str(kept_tokens.keep(self._kept_tokens, tokens))

    def known_hosts(self, address: str, port: int) -> tuple[str, ...]:
        """Return what this user's ssh knows an address by."""
        return known_hosts.keys_of(address, port)

    def write_kubeconfig(self, text: Secret) -> str | None:
        """Write our contexts; where the file holds anything else, that stays, and a copy of it as it was is kept."""
        kept = self._write_into(self._kubeconfig, text)
        self._births.add({"event": births.WRITTEN, "ca": read_kubeconfig(self._kubeconfig, self._cluster).ca})
        return kept

    def merge_kubeconfig(self, text: Secret) -> MergedKubeconfig:
        """Write our contexts into the user's own kubeconfig, unless that cannot be read."""
        path = own_kubeconfig()
        if read_kubeconfig(path, self._cluster).ca == UNREADABLE:
            raise LocalTrouble(
                f"{path} is no kubeconfig that can be read, and was left as it is",
                hint="Correct it or move it away, and run the command again; --print writes to stdout instead.",
            )
        return MergedKubeconfig(path=str(path), kept=self._write_into(path, text))

    def _write_into(self, path: Path, text: Secret) -> str | None:
        found, kept, content = read_kubeconfig(path, self._cluster), None, text.reveal()
        if found.ca == UNREADABLE or found.others:
            kept = kept_copy(path, f"before-{self._cluster}")
        if found.others:
            content = merged(path.read_text(encoding="utf-8"), content, self._cluster)
        write_private(path, content)
        return str(kept) if kept is not None else None

    def remove_kubeconfig(self) -> str | None:
        """Take our contexts out of the kubeconfig; where others stay in it, a copy of it as it was is kept."""
        found = read_kubeconfig(self._kubeconfig, self._cluster)
        if not found.servers:
            return None
        if not found.others:
            self._kubeconfig.unlink(missing_ok=True)
            return None
        kept = kept_copy(self._kubeconfig, f"before-{self._cluster}")
        write_private(self._kubeconfig, without(self._kubeconfig.read_text(encoding="utf-8"), self._cluster))
        return str(kept) if kept is not None else None

    async def keep_rescue(self, rescue: Rescue, archive: AsyncIterator[bytes]) -> str:
        """Unpack and check an archive of a host's data, and say where it lies."""
        return str(await rescues.keep(self._rescues, rescue, archive, self._clock.now()))

    def record(self, event: str, detail: Mapping[str, str]) -> None:
        """Append a line to this run's journal; births and their ends are remembered beyond the run."""
        told = {name: printable(masked(text)) for name, text in detail.items()}
        line = {"at": round(self._clock.now(), 3), "event": event, **told}
        if event in (births.OPENED, births.CLOSED):
            self._births.add(line)
        journal = self._opened_journal()
        with naming(self._journal_path(self._run)):
            journal.write(json.dumps(line, ensure_ascii=False) + "\n")
            journal.flush()

    def run_is_dead(self, run: str) -> bool:
        """Check whether that run's journal lies here and nobody holds its lock any more."""
        if not _RUN_ID.fullmatch(run) or run == self._run:
            return False
        try:
            with self._journal_path(run).open(encoding="utf-8") as journal:
                fcntl.flock(journal, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _journal_path(self, run: str) -> Path:
        return self._state / "runs" / f"{run}.jsonl"

    def _opened_journal(self) -> IO[str]:
        if self._journal is None:
            path = self._journal_path(self._run)
            append_private(path, "")
            self._journal = path.open("a", encoding="utf-8")
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when we die
            self._forget_old_runs()
        return self._journal

    def _forget_old_runs(self) -> None:
        journals = sorted((self._state / "runs").glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
        for path in journals[:-_RUNS_KEPT]:
            path.unlink(missing_ok=True)
