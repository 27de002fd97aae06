"""The door of this room: a path in, a ClusterSpec out, or every mistake of the file at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hetzner_k3s.config import moved, source
from hetzner_k3s.config.checks import machine
from hetzner_k3s.config.checks.findings import Finding
from hetzner_k3s.config.checks.settings import RULES
from hetzner_k3s.config.compile import compile_spec
from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.schema import support
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.sections import default_of
from hetzner_k3s.config.source import Document
from hetzner_k3s.config.validation import Validated, empty_keys, validate
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.text.settings import Diagnostic, SettingPlaces, dotted


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was read: what it asks for, and what the user should know about it."""

    path: Path
    spec: ClusterSpec
    warnings: tuple[Diagnostic, ...]


def load(path: Path | str, environ: Mapping[str, str]) -> ConfigFile:
    """Read a configuration file.

    Args:
        path: the file; shown in messages as it was given.
        environ: environment variables (`HCLOUD_TOKEN`, `HOME`); nothing else is taken from the process.

    Raises:
        ConfigError: the file is of no use; it holds all findings.
    """
    document, validated, diagnostics = _read(source.read(Path(path), str(path)))
    facts, of_machine = machine.look(validated.configuration, environ, Path(path).parent)
    diagnostics += _placed(document, _sound([*of_machine, *_rules(validated.configuration)], validated))
    if _errors(diagnostics):
        raise ConfigError(diagnostics)
    warnings = tuple(sorted(diagnostics, key=lambda diagnostic: diagnostic.position))
    spec = replace(compile_spec(validated.configuration, facts), places=_places(document))
    return ConfigFile(Path(path), spec, warnings)


def check(path: Path | str) -> tuple[Diagnostic, ...]:
    """Return every finding about a file itself, in its order; no token, key or path of this machine is looked at."""
    try:
        return _findings(source.read(Path(path), str(path)))
    except ConfigError as unreadable:
        return unreadable.diagnostics


def check_text(text: str, shown: str) -> tuple[Diagnostic, ...]:
    """Return every finding about a text that is to be a file called `shown`."""
    try:
        return _findings(source.parsed(text, shown))
    except ConfigError as unreadable:
        return unreadable.diagnostics


def _findings(read: Document) -> tuple[Diagnostic, ...]:
    document, validated, diagnostics = _read(read)
    found = [*machine.of_file(validated.configuration), *_rules(validated.configuration)]
    diagnostics += _placed(document, _sound(found, validated))
    return tuple(sorted(diagnostics, key=lambda diagnostic: diagnostic.position))


def _read(document: Document) -> tuple[Document, Validated, list[Diagnostic]]:
    """Hold a document against the schema; return it with what was found so far."""
    _drop_private_keys(document)
    diagnostics = list(document.diagnostics)
    diagnostics += _placed(document, moved.take_out(document.root))
    diagnostics += _placed(document, empty_keys(document.empty))
    validated = validate(document.root)
    return document, validated, [*diagnostics, *_placed(document, validated.findings)]


def _rules(configuration: Configuration) -> Iterator[Finding]:
    for rule in (*RULES, support.refusals, support.idle_settings):
        yield from rule(configuration)


def _sound(findings: Iterable[Finding], validated: Validated) -> list[Finding]:
    """Leave out what was found about settings that are wrong by themselves."""
    return [finding for finding in findings if not finding.touches(validated.broken)]


def _errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)


def _places(document: Document) -> SettingPlaces:
    """Hand along where the settings stand; what is known of them only at Hetzner is told with line and column too."""
    given = {key: position for key, position in document.values.items() if key not in document.empty}
    return SettingPlaces(document.path, given)


def _drop_private_keys(document: Document) -> None:
    """Forget top-level `x-…` keys: they are the user's own, a place for anchors (2.6 ignores every unknown key)."""
    for key in [key for key in document.root if key.startswith("x-")]:
        del document.root[key]
    document.empty = [key for key in document.empty if not str(key[0]).startswith("x-")]


def _placed(document: Document, findings: Iterable[Finding]) -> list[Diagnostic]:
    return [_diagnostic(document, finding) for finding in findings]


def _diagnostic(document: Document, finding: Finding) -> Diagnostic:
    """Place a finding; one about a default stands where the file gave what that default does not go with."""
    default = None if finding.of_key or document.holds(finding.key) else default_of(finding.key)
    given = [key for key in finding.depends if document.holds(key)] if default else []
    return Diagnostic(
        document.path,
        document.position(given[0] if given else finding.key, of_key=finding.of_key),
        dotted(finding.key),
        f"{finding.message} (the file does not set it, {default} is the default)" if default else finding.message,
        finding.severity,
    )
