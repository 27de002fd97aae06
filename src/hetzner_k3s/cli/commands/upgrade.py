"""`hetzner-k3s upgrade`: another k3s on every server, masters one by one, then the workers; the file last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.commands import create, plan
from hetzner_k3s.cli.commands.options import (
    color_option,
    config_option,
    drain_option,
    events_option,
    load_spec,
    quiet_option,
    verbose_option,
)
from hetzner_k3s.cli.output import say
from hetzner_k3s.config.rewriting import NotRewritten, write_release
from hetzner_k3s.model.consents import Consents, Upgrade
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.version import K3sVersion

_CONSENTS = Consents.of(Upgrade())


class _Release(click.ParamType[K3sVersion]):
    name = "VERSION"

    def convert(self, value: str | K3sVersion, param: click.Parameter | None, ctx: click.Context | None) -> K3sVersion:
        """Take a release tag of k3s."""
        if isinstance(value, K3sVersion):
            return value
        try:
            return K3sVersion.parse(value)
        except ValueError as problem:
            self.fail(str(problem), param, ctx)


@click.command()
@config_option
@click.option(
    "--new-k3s-version",
    "release",
    required=True,
    type=_Release(),
    metavar="VERSION",
    help="The release to go to, such as v1.36.3+k3s1; `hetzner-k3s releases` lists them.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--force", is_flag=True, expose_value=False, help="Taken as hetzner-k3s 2.x takes it: nothing is asked.")
@drain_option
@verbose_option
@quiet_option
@events_option
@color_option
def upgrade(
    config: Path, release: K3sVersion, *, dry_run: bool, drain_within: float, quiet: bool, as_json: bool
) -> ExitCode:
    """Upgrade k3s on all servers, one after another, and write the new version into the file.

    The release is fetched and verified on every server first, and a snapshot is saved. Then the masters are restarted
    one by one, each back as a healthy voter before the next; then the workers, `k3s_upgrade_concurrency` at a time,
    drained before. A server that does not come back stops it: exit code 1. Cut off anywhere, the same command goes on.
    Refused before anything: a release that is not there, one that skips a minor version, and one that is older.
    """
    spec = replace(load_spec(config), k3s_version=release)
    if dry_run:
        return plan.show(spec, _CONSENTS, as_json=as_json, check=False)
    code = create.bring_about(spec, _CONSENTS, drain_within=drain_within, quiet=quiet, as_json=as_json)
    if code is ExitCode.CONVERGED or (code is ExitCode.PENDING and not _is_left_behind(spec)):
        _write_down(config, release)
    return code


def _is_left_behind(spec: ClusterSpec) -> bool:
    """Look whether a server still runs another release: then the file must not say that all have this one."""
    forecast, _ = wiring.run(plan.look(spec, _CONSENTS))
    behind = any(one.remedy is Remedy.UPGRADE for one in forecast.differences)
    if behind:
        say(f"the file keeps its k3s_version: not every server runs {spec.k3s_version} yet; run the same command again")
    return behind


def _write_down(config: Path, release: K3sVersion) -> None:
    """Write the release into the file; where that cannot be, say what its owner has to write there."""
    if wiring.is_simulated():
        say(f"{config} stays as it is: beyond a simulation, `k3s_version: {release}` would be written into it now")
        return
    try:
        write_release(config, str(release))
    except NotRewritten as problem:
        say(f"{config} still names the k3s of before, since {problem}: write `k3s_version: {release}` into it")
