"""What happens to the external database that a cluster lives in."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.lab.simulated.world import World


@dataclass(frozen=True)
class DatabaseDown:
    """The database at an endpoint answers nobody; heals when its owner starts it again, with all that it held."""

    endpoint: str

    def possible(self, world: World) -> bool:
        """Check whether it answers until now."""
        return not world.site.database(self.endpoint).down

    async def strike(self, world: World) -> None:
        """Stop it."""
        await world.site.database(self.endpoint).stop()

    async def heal(self, world: World) -> None:
        """Start it."""
        world.site.database(self.endpoint).start()


@dataclass(frozen=True)
class DatabaseEmptied:
    """Somebody loses all that a database held; nothing heals that."""

    endpoint: str

    def possible(self, world: World) -> bool:
        """Check whether it answers until now."""
        return not world.site.database(self.endpoint).down

    async def strike(self, world: World) -> None:
        """Empty it."""
        database = world.site.database(self.endpoint)
        await database.stop()
        database.wipe()
        database.start()

    async def heal(self, world: World) -> None:
        """Leave it so."""
