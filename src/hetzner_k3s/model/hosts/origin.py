"""Who installed k3s on a host that this tool did not make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.operations.operation import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How k3s was installed on a host that this tool did not make.

    See docs/facts/k3s.md#made-by-2x.

    `flag` is how its unit starts a server: `--cluster-init`, `--server`, or empty for no server. `bare_token` tells
    whether the password of the cluster lies bare in `k3s.service.env`, `configured` whether there is a `config.yaml`.
    """

    flag: str = ""
    bare_token: bool = False
    configured: bool = False
    runs: bool = False

    @property
    def by_2x(self) -> bool:
        """Check whether hetzner-k3s 2.x installed a master here: flags in the unit, a bare token, no configuration."""
        return bool(self.flag) and self.bare_token and not self.configured


@dataclass(frozen=True, slots=True)
class ReadOrigin(Operation[Origin]):
    """Look at who installed k3s on a host that this tool did not make; only ever named, never acted upon."""

    boot_key_suffices: ClassVar[bool] = True
    unverified: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """A look at a host that nobody vouches for: what it told, and by which host key it answered.

    `key` is the label value of that key (`contact.host_key_label`), `known` are those of the keys that the user's
    known_hosts has for its address; none where that file does not name it.
    """

    key: str
    facts: HostFacts
    known: tuple[str, ...] = ()

    @property
    def contradicted(self) -> bool:
        """Check whether the user knows another host by this address."""
        return bool(self.known) and self.key not in self.known
