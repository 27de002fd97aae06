"""`hetzner-k3s validate`: every mistake of a configuration file; no token, no network, nothing of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hetzner_k3s.cli.commands.options import config_option
from hetzner_k3s.cli.output import say, tell, tell_document
from hetzner_k3s.model.errors import ExitCode

if TYPE_CHECKING:
    from hetzner_k3s.model.text.settings import Diagnostic


@click.command()
@config_option
@click.option("-q", "--quiet", is_flag=True, help="Print the findings alone, no verdict.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print the findings as JSON (docs/reference/validate.schema.json)."
)
def validate(config: Path, quiet: bool, as_json: bool) -> ExitCode:
    """Check a configuration file: every mistake at once, each with line and column.

    Only the file is read: no token, no SSH key, no network. So it says the same everywhere: in an editor, in CI, on
    the machine that will run `create`. What the file refers to is looked at by `plan` and `create`. The exit code is 2
    with an error, and 0 with warnings alone.
    """
    from hetzner_k3s.config.loader import check

    findings = check(config)
    wrong = any(finding.severity == "error" for finding in findings)
    if as_json:
        tell_document(_document(config, findings))
    else:
        for finding in findings:
            tell(str(finding))
        if not quiet:
            say(_verdict(config, findings))
    return ExitCode.USAGE if wrong else ExitCode.CONVERGED


def _verdict(config: Path, findings: Sequence[Diagnostic]) -> str:
    kinds = [finding.severity for finding in findings]
    errors, warnings = kinds.count("error"), kinds.count("warning")
    told = [f"{count} {kind}{'s' if count > 1 else ''}" for count, kind in ((errors, "error"), (warnings, "warning"))]
    counts = ", ".join(words for words, count in zip(told, (errors, warnings), strict=True) if count)
    return f"{config} is {'not ' if errors else ''}valid{f': {counts}' if counts else ''}"


def _document(config: Path, findings: Sequence[Diagnostic]) -> dict[str, object]:
    return {
        "schema": 1,
        "file": str(config),
        "valid": not any(finding.severity == "error" for finding in findings),
        "findings": [
            {
                "severity": finding.severity,
                "line": finding.line,
                "column": finding.column,
                "key": finding.key,
                "message": finding.message,
            }
            for finding in findings
        ],
    }
