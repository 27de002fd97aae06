"""Mutants of `scripts/sampled-mutants` that no test kills, and why: nobody could notice, or nobody would."""

# ruff: noqa: E501 (a mutant is one line)

from __future__ import annotations

from typing import Final

REASONS: Final[dict[str, str]] = {
    "adapters/s3.py S3Objects._download: for part in answer.stream(1 << 20): -> for part in answer.stream(1 << 21):": "how large the pieces are that a file is written in",
    'adapters/system/shell.py open_shell: with tempfile.TemporaryDirectory(prefix="hetzner-k3s-ssh-") as folder: -> with tempfile.TemporaryDirectory(prefix="") as folder:': "the name of a folder that is gone with the shell",
    "adapters/system/transcripts.py TranscriptFile.__init__: self._handle = -1 -> self._handle = -2": "any negative number is no file",
    "adapters/system/arriving.py Arriving.read_by: reading.exception() # it ended because of us -> pass # it ended because of us": "asyncio would log an error that nobody looked at, and its log is shown to nobody",
    "observe/origins.py look: return {server.id: reading for server, reading in zip(wanted, readings, strict=True)} -> return {server.id: reading for server, reading in zip(wanted, readings, strict=False)}": "`gather` gives an answer for each that was asked",
    'act/lock.py _clear_away: died_here = ports.local.run_is_dead(found.labels.get(naming.LABEL_LOCK_RUN, "")) -> died_here = ports.local.run_is_dead(found.labels.get(naming.LABEL_LOCK_RUN, "mutant"))': "neither is the name of a run",
    "cli/render/live/display.py LiveReporter.__init__: self._ticking: asyncio.Task[None] | None = None -> pass": "it is set again before anything reads it",
    'act/handlers/external_database.py _prove: if found.uid == record.uid and (found.disk.server_ca or "").startswith(record.ca or "-"): -> if found.uid == record.uid and (found.disk.server_ca or "mutant").startswith(record.ca or "-"):': "a host without a CA is of no cluster either way: what is recorded begins with digits",
    "cli/watching.py -: LISTING_EVERY: Final = 60.0 -> LISTING_EVERY: Final = 61.0": "a second more between two listings of a cluster at rest",
    "observe/observer.py -: _A_MOMENT = 30.0 -> _A_MOMENT = 31.0": "a second more for which a listing is good enough to begin on",
    "adapters/ssh.py -: _COMPLAINT: Final = 1 << 16 -> _COMPLAINT: Final = 1 << 17": "how much is kept of what nobody is shown whole",
    'cli/commands/lab.py status: click.echo(f"latency {running.record.latency}") -> pass': "a lab of real hosts alone shows it, which these tests do not start",
}
