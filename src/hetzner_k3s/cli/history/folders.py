"""Where the transcripts of clusters lie on this machine."""

from __future__ import annotations

from pathlib import Path

from hetzner_k3s.adapters.system.operator import state_directory
from hetzner_k3s.cli.recording.opening import SIMULATED
from hetzner_k3s.config import source
from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.source import Scalar
from hetzner_k3s.model.errors import LocalTrouble
from hetzner_k3s.model.text.settings import Diagnostic, Position


def transcript_folders(cluster: str | None, *, simulated: bool) -> list[Path]:
    """Return the state folders of one cluster, or of all that this machine knows."""
    try:
        base = state_directory(SIMULATED) if simulated else state_directory(SIMULATED).parent
        return [base / cluster] if cluster is not None else sorted(path for path in base.iterdir() if path.is_dir())
    except (OSError, LocalTrouble):  # nothing was ever run here, or this user has no home
        return []


def cluster_named_in(config: Path) -> str:
    """Return the cluster's name in a configuration file; whether the rest of it is of use does not matter here.

    Raises:
        ConfigError: it cannot be read, or names no cluster.
    """
    document = source.read(config, str(config))
    name = document.root.get("cluster_name")
    if not isinstance(name, Scalar) or not name.text or Path(name.text).name != name.text:
        raise ConfigError([Diagnostic(str(config), Position(), "cluster_name", "is no name of a cluster", "error")])
    return name.text
