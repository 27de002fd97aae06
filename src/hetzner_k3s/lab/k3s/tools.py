"""`k3s etcd-snapshot`, `k3s token` and `k3s certificate`: small commands that ask the server on this host."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.node import cluster_client
from hetzner_k3s.lab.k3s.node.cluster_client import SupervisorClient, SupervisorError
from hetzner_k3s.lab.k3s.setup import flags, paths
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.trust import pki, tokens
from hetzner_k3s.lab.k3s.trust.certificates import Pair

_LOCAL = "https://127.0.0.1:6443"
# What the snapshot commands take from config.yaml; the server's other keys are reported and skipped.
_SHARED = frozenset(("debug", "config", "log", "data-dir", "node-name"))


def _skip_unknown(document: dict[str, Any]) -> dict[str, Any]:
    for name, _ in flags.from_file(document):
        if name not in _SHARED:
            logfmt.warning(f"Unknown flag --{name} found in config.yaml, skipping\n")
    return {key: value for key, value in document.items() if key in _SHARED}


async def run(command: str, arguments: list[str]) -> int:
    """Run one of the two commands.

    Returns:
        The exit code.
    """
    words = [word for word in arguments if not word.startswith("-")]
    verb = words[0] if words else ""
    rest = arguments[arguments.index(verb) + 1 :] if verb else []
    document = _skip_unknown(flags.read_document()) if command == "etcd-snapshot" else {}
    try:
        return await _dispatch(command, verb, document, rest)
    except (flags.UnknownFlag, SupervisorError, logfmt.Fatal, OSError) as problem:
        logfmt.fatal(f"Error: {problem}")
        return 1


async def _dispatch(command: str, verb: str, document: dict[str, Any], rest: list[str]) -> int:
    names = [] if verb != "delete" else [word for word in rest if not word.startswith("-")]
    settings = flags.merge(command, document, os.environ, [word for word in rest if word not in names])
    if settings.on("s3"):
        raise logfmt.Fatal("the lab's k3s does not speak S3")
    if (command, verb) == ("token", "rotate"):
        return await _rotate(settings)
    if (command, verb) == ("certificate", "rotate-ca"):
        return await _rotate_ca(settings)
    if command == "etcd-snapshot" and verb in ("save", "ls", "list", "delete"):
        return await _snapshot(verb, settings, names)
    sys.stderr.write(f"k3s {command}: unknown command {verb!r}\n")
    return 1


def _client(settings: Flags) -> SupervisorClient:
    layout = paths.Layout(Path(settings.text("data-dir", str(paths.DEFAULT_DATA_DIR))))
    password = tokens.parse(settings.text("token") or layout.token.read_text()).password
    return SupervisorClient(_LOCAL, (layout.tls / "server-ca.crt").read_bytes(), password)


async def _rotate(settings: Flags) -> int:
    new = settings.text("new-token") or tokens.random_password()
    client = _client(settings)
    await cluster_client.fetch_cacerts(_LOCAL)
    await client.rotate_token(new)
    logfmt.info("Token rotated, restart k3s nodes with new token")
    return 0


async def _rotate_ca(settings: Flags) -> int:
    """Send the authorities that k3s' own script left in a folder: `tls/server-ca.crt`, its key, and so on."""
    folder = Path(settings.text("path", "/var/lib/rancher/k3s/server/rotate-ca")) / "tls"
    found = {name: (folder / f"{file}.crt", folder / f"{file}.key") for name, (file, _) in pki.AUTHORITIES.items()}
    pairs = {name: Pair(crt.read_bytes(), key.read_bytes()) for name, (crt, key) in found.items() if crt.exists()}
    await _client(settings).rotate_ca(pairs, force=settings.on("force"))
    logfmt.info("certificates saved to datastore")
    return 0


async def _snapshot(verb: str, settings: Flags, names: list[str]) -> int:
    try:
        return await _ask_for_snapshots(verb, settings, names)
    except SupervisorError as problem:
        # As recorded (second/20): after `token rotate` the token in the file is not the one that the process takes.
        hidden = problem.code == 401
        raise SupervisorError(f"see server log for details: {problem}" if hidden else str(problem)) from problem


async def _ask_for_snapshots(verb: str, settings: Flags, names: list[str]) -> int:
    client = _client(settings)
    if verb == "save":
        answer = await client.snapshot({"operation": "save", "name": settings.text("name", "on-demand")})
        for name in answer["created"]:
            logfmt.info(f"Snapshot {name} saved.")
    elif verb == "delete":
        answer = await client.snapshot({"operation": "delete", "names": names})
        for name in answer["deleted"]:
            logfmt.info(f"Snapshot {name} deleted.")
    else:
        answer = await client.snapshot({"operation": "list"})
        _show(answer["items"], settings.text("output"))
    return 0


def _show(items: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        document = {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}
        sys.stdout.write(json.dumps(document, indent=4) + "\n")
        return
    rows = [("Name", "Location", "Size", "Created")]
    rows += [
        (row["spec"]["snapshotName"], row["spec"]["location"], row["status"]["size"], row["status"]["creationTime"])
        for row in items
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        sys.stdout.write(" ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() + "\n")
