"""The two tokens of a cluster: that of its servers, which opens everything, and that of its agents.

With an agent token set, k3s gives an agent its configuration and certificates and nothing else, and the servers' token
admits no agents (docs/facts/k3s.md#agent-token). A cluster without one has the one token for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hetzner_k3s.model.identity import is_agent_token, token_ca, token_hash, token_password
from hetzner_k3s.model.secrets import Secret


@dataclass(frozen=True, slots=True)
class ClusterTokens:
    """The servers' token, and the agents' where they have one of their own."""

    server: Secret
    agent: Secret | None = None

    @property
    def for_agents(self) -> Secret:
        """Return what a worker joins with: on a worker's disk nothing else may lie."""
        return self.agent or self.server

    @property
    def held(self) -> HeldTokens:
        """Return what may be told of them."""
        return HeldTokens(
            server=token_hash(self.server.reveal()),
            agent=token_hash(self.agent.reveal()) if self.agent else None,
            ca=token_ca(self.server.reveal()),
        )

    def text(self) -> Secret:
        """Return both as lines of a file, the servers' first; `parse` reads it."""
        return Secret("".join(f"{token.reveal()}\n" for token in (self.server, self.agent) if token is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTokens:
    """Tokens by the first 12 digits of sha256(password), and the CA hash that the servers' one pins, if any."""

    server: str
    agent: str | None = None
    ca: str | None = None


def paired(server: Secret, agent: Secret) -> ClusterTokens:
    """Join what a master wrote into `server/token` and `server/agent-token`: the same password means one token."""
    same = token_password(server.reveal()) == token_password(agent.reveal())
    return ClusterTokens(server, None if same else agent)


def parse(text: str) -> tuple[Secret, ...]:
    """Read the tokens of a file, one a line."""
    return tuple(Secret(line.strip()) for line in text.splitlines() if line.strip())


def agents_of(tokens: Iterable[Secret]) -> dict[str, Secret]:
    """Return the tokens that admit agents only, by their hash."""
    return {token_hash(t.reveal()): t for t in tokens if is_agent_token(t.reveal())}


def servers_of(tokens: Iterable[Secret]) -> dict[str, Secret]:
    """Return the tokens of servers by their hash; a bare password is taken for one."""
    return {token_hash(t.reveal()): t for t in tokens if not is_agent_token(t.reveal())}
