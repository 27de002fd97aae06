"""Objects in etcd: reads and writes go through the leader, versions are revisions, conflicts are found by comparing."""

from __future__ import annotations

import datetime
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from hetzner_k3s.lab.k3s.api import status, strategy
from hetzner_k3s.lab.k3s.api.resources import CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, Catalogue, Obj, Resource
from hetzner_k3s.lab.k3s.etcd.port import Change, KeyValue, KeyValues

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_ATTEMPTS = 8


def utc_now() -> datetime.datetime:
    """Return the clock objects are stamped with."""
    return datetime.datetime.now(datetime.UTC)


def name_suffix() -> str:
    """Make the five characters `generateName` adds."""
    return "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5))


@dataclass(frozen=True, slots=True)
class Watched:
    """One change of an object: ADDED, MODIFIED or DELETED, the object then and before."""

    kind: str
    obj: Obj
    previous: Obj | None
    revision: int


def _load(value: bytes, revision: int) -> Obj:
    obj: Obj = json.loads(value)
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def _dump(obj: Obj) -> bytes:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    return json.dumps(obj | {"metadata": metadata}, separators=(",", ":")).encode()


class Store:
    """The objects of a cluster.

    Args:
        kv: where they lie.
        now, new_uid, suffix: clock and randomness, replaceable in a simulation.
    """

    def __init__(
        self,
        kv: KeyValues,
        now: Callable[[], datetime.datetime] = utc_now,
        new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
        suffix: Callable[[], str] = name_suffix,
    ) -> None:
        self.kv = kv
        self.now = now
        self.catalogue = Catalogue()
        self._new_uid, self._suffix = new_uid, suffix

    async def refresh_definitions(self) -> None:
        """Read the CRD objects, so that another server's new definition is served here too."""
        definitions, _ = await self.list(CUSTOM_RESOURCE_DEFINITIONS)
        self.catalogue.replace_definitions(definitions)

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Obj:
        """Read an object.

        Raises:
            ApiError: 404.
        """
        entry = await self._entry(resource, name, namespace)
        return _load(entry.value, entry.mod_revision)

    async def find(self, resource: Resource, name: str, namespace: str = "") -> Obj | None:
        """Read an object, or None when there is none."""
        found = await self.kv.get(resource.key(namespace, name))
        return _load(found.entries[0].value, found.entries[0].mod_revision) if found.entries else None

    async def _entry(self, resource: Resource, name: str, namespace: str) -> KeyValue:
        found = await self.kv.get(resource.key(namespace, name))
        if not found.entries:
            raise status.not_found(resource, name)
        return found.entries[0]

    async def list(self, resource: Resource, namespace: str = "") -> tuple[list[Obj], int]:
        """Read all objects (of a namespace); give them with the store's revision."""
        found = await self.kv.list(resource.prefix_of(namespace))
        return [_load(entry.value, entry.mod_revision) for entry in found.entries], found.revision

    async def create(self, resource: Resource, obj: Obj, namespace: str = "") -> Obj:
        """Store a new object.

        Raises:
            ApiError: 404 for a missing namespace, 409 for a taken name, 403 in a terminating namespace, 400, 422.
        """
        full = strategy.on_create(resource, obj, namespace, now=self.now(), uid=self._new_uid(), suffix=self._suffix())
        name, space = full["metadata"]["name"], full["metadata"].get("namespace", "")
        if space:
            await self._check_namespace(resource, name, space)
        revision = await self.kv.put(resource.key(space, name), _dump(full), 0)
        if revision is None:
            raise status.already_exists(resource, name)
        full["metadata"]["resourceVersion"] = str(revision)
        if resource is CUSTOM_RESOURCE_DEFINITIONS:
            await self.refresh_definitions()
        return full

    async def _check_namespace(self, resource: Resource, name: str, namespace: str) -> None:
        found = await self.get(NAMESPACES, namespace)
        if "deletionTimestamp" in found["metadata"]:
            text = f'{resource.qualified} "{name}" is forbidden: unable to create new content in namespace {namespace}'
            raise status.ApiError(403, f"{text} because it is being terminated")

    async def change(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        edit: Callable[[Obj], Obj],
        subresource: str = "",
    ) -> Obj:
        """Read, edit and write back, again when somebody else was faster, unless the edit names a version.

        Raises:
            ApiError: 404, 409 when the edited object's `resourceVersion` is not the stored one, 422.
        """
        for _ in range(_ATTEMPTS):
            entry = await self._entry(resource, name, namespace)
            old = _load(entry.value, entry.mod_revision)
            wanted = edit(old)
            version = wanted.get("metadata", {}).get("resourceVersion")
            if version and version != str(entry.mod_revision):
                raise status.conflict(resource, name)
            written = await self._write(resource, entry, old, wanted, subresource)
            if written is not None:
                return written
        raise status.conflict(resource, name)

    async def _write(self, resource: Resource, entry: KeyValue, old: Obj, wanted: Obj, subresource: str) -> Obj | None:
        new = strategy.on_update(resource, old, wanted, subresource)
        if strategy.is_finished(new):
            return new if await self.kv.delete(entry.key, entry.mod_revision) is not None else None
        if strategy.same(old, new):
            return old
        revision = await self.kv.put(entry.key, _dump(new), entry.mod_revision)
        if revision is None:
            return None
        new["metadata"]["resourceVersion"] = str(revision)
        return new

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        uid: str = "",
        version: str = "",
        *,
        foreground: bool = False,
    ) -> Obj:
        """Remove an object, or mark it when finalizers hold it; give it as it is then.

        In the `foreground` it stays until its dependents have gone.

        Raises:
            ApiError: 404, 409 when the preconditions `uid` or `version` do not hold.
        """
        for _ in range(_ATTEMPTS):
            entry = await self._entry(resource, name, namespace)
            old = _load(entry.value, entry.mod_revision)
            if (uid and uid != old["metadata"]["uid"]) or (version and version != str(entry.mod_revision)):
                raise status.conflict(resource, name)
            if foreground and "deletionTimestamp" not in old["metadata"]:
                old = strategy.held_for_dependents(old)
            if strategy.finalizers(old):
                if "deletionTimestamp" in old["metadata"]:
                    return old
                marked = strategy.marked_for_deletion(old, self.now())
                revision = await self.kv.put(entry.key, _dump(marked), entry.mod_revision)
                if revision is not None:
                    marked["metadata"]["resourceVersion"] = str(revision)
                    return marked
            elif await self.kv.delete(entry.key, entry.mod_revision) is not None:
                if resource is CUSTOM_RESOURCE_DEFINITIONS:
                    await self.refresh_definitions()
                return old
        raise status.conflict(resource, name)

    async def watch(self, resource: Resource, namespace: str, revision: int) -> AsyncIterator[Watched]:
        """Follow the changes after a revision.

        Raises:
            Compacted, EtcdUnavailable: from the port.
        """
        async for changes in self.kv.watch(resource.prefix_of(namespace), revision + 1):
            for change in changes:
                yield _watched(change)


def _watched(change: Change) -> Watched:
    previous = _load(change.previous, change.revision) if change.previous else None
    if change.value is None:
        # A watcher gets the last state of what was deleted, at the revision of the deletion.
        return Watched("DELETED", previous or {"metadata": {}}, previous, change.revision)
    kind = "MODIFIED" if change.previous else "ADDED"
    return Watched(kind, _load(change.value, change.revision), previous, change.revision)
