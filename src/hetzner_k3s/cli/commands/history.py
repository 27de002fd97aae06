"""`hetzner-k3s history`: what runs were made, from this machine and of a cluster, and where their time went."""

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
from hetzner_k3s.model.kubernetes.run_history import CONFIG_MAP


@click.command()
@click.argument("run", required=False)
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Of this file's cluster alone, colleagues' too.")
@click.option("--simulated", is_flag=True, help="Runs of `lab simulate` in place of real ones.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON (docs/reference/history.md).")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Draw a run into this file.")
def history(run: str | None, config: Path | None, simulated: bool, as_json: bool, html: Path | None) -> ExitCode:
    """Show the runs that were made from this machine, the newest first, or one RUN step by step.

    RUN is an id, its beginning, or the number in the list: 1 is the newest. With --html and no RUN the newest of this
    machine is drawn.
    Only transcripts on this machine are read, and nothing is asked of Hetzner or a host; with --config the cluster is
    asked too, for its last 50 runs that changed it, whoever made them. The exit code is 3 when it could not be asked.
    """
    cluster = cluster_named_in(config) if config else None
    found = [path for folder in transcript_folders(cluster, simulated=simulated) for path in transcripts(folder)]
    found.sort(key=lambda path: path.name, reverse=True)
    known: Sequence[Path | Run] = found
    code = ExitCode.CONVERGED
    if config is not None and cluster is not None and (run is not None or html is None):
        known, code = _with_colleagues(found, config, cluster, simulated=simulated)
    if run is None and html is None:
        _show_all([_read(one) for one in known], as_json=as_json)
    else:
        _show_one(_read(_chosen(known, run or "1")), as_json=as_json, html=html)
    return code


def _with_colleagues(
    found: Sequence[Path], config: Path, cluster: str, *, simulated: bool
) -> tuple[list[Run], ExitCode]:
    """Return the runs of this machine and those that the cluster knows of; without these where it was not asked."""
    from hetzner_k3s.cli.history.colleagues import NotAsked, ask_cluster, is_there, with_colleagues

    own = [read_run(path) for path in found]
    if not is_there(simulated=simulated):
        return own, ExitCode.CONVERGED
    try:
        noted = ask_cluster(config)
    except NotAsked as why:
        say(f"note: {cluster} could not be asked who else worked on it, so these are this machine's runs alone: {why}")
        return own, ExitCode.PENDING
    if noted.skipped:
        entries = "1 entry" if noted.skipped == 1 else f"{noted.skipped} entries"
        say(f"note: {entries} of the ConfigMap kube-system/{CONFIG_MAP} could not be read as runs and were left out")
    return with_colleagues(own, cluster, noted.runs, simulated=simulated), ExitCode.CONVERGED


def _read(known: Path | Run) -> Run:
    return read_run(known) if isinstance(known, Path) else known


def _show_all(runs: Sequence[Run], *, as_json: bool) -> None:
    if as_json:
        tell_document(runs_document(runs))
    elif runs:
        for line in run_list(runs):
            tell(line)
    else:
        say("no run was recorded on this machine yet")


def _show_one(run: Run, *, as_json: bool, html: Path | None) -> None:
    """Show a run, and draw it into a file where one is named.

    Raises:
        click.UsageError: it is to be drawn and was recorded on another machine, where its steps are.
    """
    if html is not None:
        if run.path is None:
            raise click.UsageError(f"run {run.id} was recorded on another machine: no page can be drawn of it")
        from hetzner_k3s.cli.pages.run_page import run_page

        html.write_text(run_page(run), encoding="utf-8")
        say(f"run {run.id} is drawn in {html}")
    if as_json:
        tell_document(run_document(run))
    elif html is None:
        for line in run_lines(run):
            tell(line)


def _chosen(known: Sequence[Path | Run], asked: str) -> Path | Run:
    """Return the run that was meant.

    Raises:
        click.UsageError: there is none, or more than one.
    """
    if asked.isdecimal() and 0 < int(asked) <= len(known):
        return known[int(asked) - 1]
    named = [one for one in known if _id_of(one).startswith(asked)]
    if len(named) == 1:
        return named[0]
    how_many = "more than one run begins" if named else "no run that was recorded here begins"
    raise click.UsageError(f"{how_many} with {asked!r}; `hetzner-k3s history` lists all")


def _id_of(known: Path | Run) -> str:
    return run_of(known) if isinstance(known, Path) else known.id
