"""`hetzner-k3s history`: what runs were made from this machine, and where their time went; from transcripts alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from hetzner_k3s.adapters.system.transcripts import run_of, transcripts
from hetzner_k3s.cli.history.folders import cluster_named_in, transcript_folders
from hetzner_k3s.cli.history.runs import Run, read_run
from hetzner_k3s.cli.output import say, tell, tell_document
from hetzner_k3s.cli.render.history import run_document, run_lines, run_list, runs_document
from hetzner_k3s.model.errors import ExitCode


@click.command()
@click.argument("run", required=False)
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Of this file's cluster alone.")
@click.option("--simulated", is_flag=True, help="Runs of `lab simulate` in place of real ones.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON (docs/reference/history.md).")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Draw a run into this file.")
def history(run: str | None, config: Path | None, simulated: bool, as_json: bool, html: Path | None) -> ExitCode:
    """Show the runs that were made from this machine, the newest first, or one RUN step by step.

    RUN is an id, its beginning, or the number in the list: 1 is the newest. With --html and no RUN the newest is drawn.
    Only transcripts on this machine are read; nothing is asked of Hetzner or a host.
    """
    cluster = cluster_named_in(config) if config else None
    found = [path for folder in transcript_folders(cluster, simulated=simulated) for path in transcripts(folder)]
    found.sort(key=lambda path: path.name, reverse=True)
    if run is None and html is None:
        _show_all(found, as_json=as_json)
        return ExitCode.CONVERGED
    _show_one(read_run(_chosen(found, run or "1")), as_json=as_json, html=html)
    return ExitCode.CONVERGED


def _show_all(found: Sequence[Path], *, as_json: bool) -> None:
    runs = [read_run(path) for path in found]
    if as_json:
        tell_document(runs_document(runs))
    elif runs:
        for line in run_list(runs):
            tell(line)
    else:
        say("no run was recorded on this machine yet")


def _show_one(run: Run, *, as_json: bool, html: Path | None) -> None:
    if html is not None:
        from hetzner_k3s.cli.pages.run_page import run_page

        html.write_text(run_page(run), encoding="utf-8")
        say(f"run {run.id} is drawn in {html}")
    if as_json:
        tell_document(run_document(run))
    elif html is None:
        for line in run_lines(run):
            tell(line)


def _chosen(found: Sequence[Path], asked: str) -> Path:
    """Return the transcript that was meant.

    Raises:
        click.UsageError: there is none, or more than one.
    """
    if asked.isdecimal() and 0 < int(asked) <= len(found):
        return found[int(asked) - 1]
    named = [path for path in found if run_of(path).startswith(asked)]
    if len(named) == 1:
        return named[0]
    how_many = "more than one run begins" if named else "no run that was recorded here begins"
    raise click.UsageError(f"{how_many} with {asked!r}; `hetzner-k3s history` lists all")
