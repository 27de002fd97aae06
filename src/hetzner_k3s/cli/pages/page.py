"""The skeleton of a page. Its policy forbids whatever is not the page's own style, so no text in it can load or run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hetzner_k3s.model.secrets import masked
from hetzner_k3s.model.text.printable import printable


def render(template: str, rules: Iterable[str], context: Mapping[str, Any]) -> str:
    """Return a page.

    Args:
        template: its file beside this module.
        rules: CSS that is this page's alone, such as where bars lie; numbers of ours, no text from outside.
        context: what the template shows.
    """
    style = "\n".join([(files("hetzner_k3s.cli.pages") / "page.css").read_text(encoding="utf-8"), *rules])
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return _environment().get_template(template).render({**context, "style": Markup(style), "policy": policy})


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("hetzner_k3s.cli", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _harmless(value: object) -> object:
    """Return a text without known secrets and invisible characters; what is markup already is ours."""
    return printable(masked(value)) if isinstance(value, str) and not isinstance(value, Markup) else value
