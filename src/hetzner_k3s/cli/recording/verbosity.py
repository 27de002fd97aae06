"""Where `-v` is kept between the command line and the run."""

from __future__ import annotations

from typing import Final

VERBOSITY: Final = "hetzner_k3s.verbosity"
"""The key in click's `meta`."""

HOSTS_CODE: Final = "hetzner_k3s.hosts_code"
"""Set in the context of a command whose exit code is that of the user's own command on a host."""
