"""`hetzner-k3s explain`: what the code of a refusal means, from the package alone: no file, token or network."""

from __future__ import annotations

import click

from hetzner_k3s.cli.explanations import nearest, read
from hetzner_k3s.cli.output import tell
from hetzner_k3s.cli.render.explain import explanation_lines
from hetzner_k3s.model.errors import ExitCode


@click.command()
@click.argument("codes", nargs=-1, metavar="[CODE]...")
@click.option("--all", "whole", is_flag=True, help="Show every situation that the code is known in.")
def explain(codes: tuple[str, ...], whole: bool) -> ExitCode:
    """Explain refusals: what each code means, what was seen in examples, what you can do.

    Without a CODE all codes are listed, one a line.
    """
    known = read()
    if unknown := [code for code in codes if code not in known]:
        raise click.UsageError(_advice(unknown[0], tuple(known)))
    for number, code in enumerate(codes):
        if number:
            tell("")
        for line in explanation_lines(code, known[code], whole=whole):
            tell(line)
    for code in known if not codes else ():
        tell(code)
    return ExitCode.CONVERGED


def _advice(code: str, known: tuple[str, ...]) -> str:
    near = nearest(code, known)
    advice = f"nearest: {', '.join(near)}" if near else "`hetzner-k3s explain` lists all"
    return f"{code!r} is no code of a refusal; {advice}"
