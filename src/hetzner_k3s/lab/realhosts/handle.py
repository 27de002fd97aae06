"""A grip on a running lab and its hosts, for tests and rehearsals."""

from __future__ import annotations

import subprocess
import time
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hetzner_k3s.lab.realhosts.hosts.inside import run_inside
from hetzner_k3s.lab.realhosts.lifecycle import OPERATOR_ENDPOINT, Running, operator_command, operator_environment
from hetzner_k3s.lab.realhosts.settings import PROJECT

_RESET_SECONDS = 180.0

# In this order nothing stands in the way of what is deleted next.
_RESOURCES = (
    "load_balancers",
    "servers",
    "firewalls",
    "networks",
    "placement_groups",
    "ssh_keys",
    "primary_ips",
    "floating_ips",
    "volumes",
)
_APPLIED = ("type", "server", "label_selector")


class HostHandle:
    """One host, by the name of its server."""

    def __init__(self, lab: LabHandle, name: str) -> None:
        self._lab = lab
        self.name = name

    @property
    def facts(self) -> dict[str, Any]:
        """Return what the lab knows: `id`, `name`, `public_ipv4`, `private`, `running`, `group`. Raises LookupError."""
        for host in self._lab.client.hosts():
            if host["name"] == self.name:
                return host
        raise LookupError(f"no host {self.name}")

    def exec(self, script: str, timeout: float = 60.0, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a shell script inside as root, without SSH and whatever the network does."""
        done = run_inside(Path(self.facts["group"]), script, timeout)
        if check:
            done.check_returncode()
        return done

    def kill(self) -> None:
        """Cut the power behind the cloud's back: the server is off."""
        self._lab.client.strike(self.name, "kill")

    def power_off(self) -> None:
        """Cut the power through the API, as a user does in the console."""
        self._lab.act(self.name, "poweroff")

    def power_on(self) -> None:
        """Switch on through the API."""
        self._lab.act(self.name, "poweron")

    def cut_ssh(self) -> None:
        """Let no packet reach port 22 from outside."""
        self._lab.client.strike(self.name, "cut-ssh")

    def cut_public(self) -> None:
        """Cut the public interface off."""
        self._lab.client.strike(self.name, "cut-public")

    def cut_private(self, to: str | None = None) -> None:
        """Cut the private interface off, or only the way to one other host."""
        if to is None:
            self._lab.client.strike(self.name, "cut-private")
        else:
            self._lab.client.strike(self.name, "cut-private-to", {"host": to})

    def heal(self) -> None:
        """Undo every cut at this host."""
        self._lab.client.strike(self.name, "heal")

    def freeze(self) -> None:
        """Stop every process of the host where it stands."""
        self._lab.client.strike(self.name, "freeze")

    def thaw(self) -> None:
        """Let a frozen host go on."""
        self._lab.client.strike(self.name, "thaw")


class LabHandle:
    """A running lab. `endpoint` answers on this machine, OPERATOR_ENDPOINT for commands that `run` starts."""

    operator_endpoint = OPERATOR_ENDPOINT

    def __init__(self, running: Running) -> None:
        self.running = running
        self.endpoint = running.endpoint
        self.token = running.token
        self.client = running.client()

    def host(self, name: str) -> HostHandle:
        """Return a grip on a host, which need not exist yet."""
        return HostHandle(self, name)

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a command at the operator's place (the process started becomes the command itself)."""
        environment = {**operator_environment(self.running), **options.pop("env", {})}
        return subprocess.Popen(operator_command(self.running, list(command)), env=environment, text=True, **options)

    def run(
        self,
        command: Sequence[str],
        check: bool = True,
        timeout: float = 300.0,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command at the operator's place, in its environment with `env` beside; output captured."""
        return subprocess.run(
            operator_command(self.running, list(command)),
            env={**operator_environment(self.running), **(env or {})},
            check=check,
            timeout=timeout,
            cwd=cwd,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )

    def requests(self, after: int = 0, writing: bool | None = None) -> list[dict[str, Any]]:
        """Return the API's request log since the last reset."""
        query = f"?after={after}" + ("" if writing is None else f"&writing={str(writing).lower()}")
        found: list[dict[str, Any]] = self.client.lab("GET", f"requests{query}")["requests"]
        return found

    def servers(self) -> dict[str, dict[str, Any]]:
        """Return the servers of the API by name."""
        return {server["name"]: server for server in self.resources("servers")}

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """List all resources of a kind as the API shows them, past the API: not logged, no cost of the rate limit."""
        found: list[dict[str, Any]] = self.client.lab("GET", f"state/{PROJECT}/{kind}")["resources"]
        return found

    def act(self, server: str, action: str, body: dict[str, Any] | None = None) -> None:
        """Start a server action through the API and wait until it is done."""
        number = self.servers()[server]["id"]
        self.finish(self.client.api("POST", f"/servers/{number}/actions/{action}", body or {})["action"])

    def finish(self, action: dict[str, Any], seconds: float = _RESET_SECONDS) -> None:
        """Wait for an action. Raises RuntimeError when it failed, TimeoutError."""
        deadline = time.monotonic() + seconds
        while action["status"] == "running":
            if time.monotonic() > deadline:
                raise TimeoutError(f"action {action['command']} still runs after {seconds:.0f} s")
            time.sleep(0.1)
            action = self.client.api("GET", f"/actions/{action['id']}")["action"]
        if action["status"] != "success":
            raise RuntimeError(f"action {action['command']} failed: {action['error']}")

    def reset(self) -> None:
        """Delete every resource, every fault and the request log; an hour's requests are there again."""
        self.client.lab("DELETE", "faults")
        self.client.lab("DELETE", "requests")
        for kind in _RESOURCES:
            self._delete_all(kind)
        self.client.lab("DELETE", "requests")

    def _delete_all(self, kind: str) -> None:
        """Delete until none is left: what a killed run had started may still lock a resource, or use it."""
        deadline = time.monotonic() + _RESET_SECONDS
        while found := self.resources(kind):
            answers = [self._delete(f"/{kind}/{resource['id']}", resource) for resource in found]
            refusals = [answer for answer in answers if isinstance(answer, urllib.error.HTTPError)]
            if refusals and time.monotonic() > deadline:
                raise refusals[0]
            for answer in answers:
                if isinstance(answer, dict) and "action" in answer:
                    self.finish(answer["action"])
            if len(refusals) == len(found):
                time.sleep(0.2)

    def _delete(self, path: str, resource: dict[str, Any]) -> dict[str, Any] | urllib.error.HTTPError:
        try:
            self._take_off(path, resource.get("applied_to", []))
            return self.client.api("DELETE", path)
        except urllib.error.HTTPError as refusal:
            return refusal

    def _take_off(self, path: str, applied_to: list[dict[str, Any]]) -> None:
        """Take a firewall off what it is applied to: before that it cannot be deleted."""
        if applied_to:
            resources = [{part: item[part] for part in _APPLIED if part in item} for item in applied_to]
            self.client.api("POST", f"{path}/actions/remove_from_resources", {"remove_from": resources})
