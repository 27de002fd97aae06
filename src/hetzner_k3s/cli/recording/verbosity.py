"""Where `-v` is kept between the command line and the run."""

from __future__ import annotations

from typing import Final

VERBOSITY: Final = "hetzner_k3s.verbosity"
"""The key in click's `meta`."""
