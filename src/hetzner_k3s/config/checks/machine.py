"""What the file refers to on the user's machine: environment variables, paths, SSH keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hetzner_k3s.config.checks import key_pair, object_storage
from hetzner_k3s.config.checks.findings import Finding
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import S3Spec
from hetzner_k3s.model.text.settings import KeyPath

_TOKEN: Final = re.compile(r"[\x20-\x7e]+")  # what an HTTP header can carry; whether it is right is Hetzner's to say
_NO_TOKEN: Final = "is no API token: it has characters that no token has"
_PUBLIC_KEY: Final = re.compile(r"(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}( .*)?")
_MAX_KEY_BYTES: Final = 16 * 1024
_SSH: Final = ("networking", "ssh")


@dataclass(frozen=True, slots=True)
class Machine:
    """The values found; paths are absolute, `private_key_path` is None when an agent holds the key."""

    hetzner_token: Secret
    kubeconfig_path: str
    private_key_path: str | None
    public_key_path: str
    public_key: str
    s3: S3Spec | None


@dataclass(slots=True)
class _Search:
    environ: Mapping[str, str]
    folder: Path
    """Where the configuration file lies."""
    findings: list[Finding] = field(default_factory=list)

    def complain(self, key: KeyPath, message: str) -> None:
        self.findings.append(Finding(key, message))

    def absolute(self, key: KeyPath, text: str) -> Path:
        """Make a path absolute; `~` is `$HOME`, as in 2.6 (which knows no `~user`)."""
        if text == "~" or text.startswith("~/"):
            home = self.environ.get("HOME", "")
            if not home:
                self.complain(key, "starts with ~, but the environment variable HOME is not set")
            text = f"{home}{text[1:]}"
        if not text or "\0" in text:
            self.complain(key, "is no path")
            text = "."
        return Path(text).absolute()

    def key_file(self, key: KeyPath, text: str) -> Path:
        """Make the path of an SSH key absolute: from here, as in 2.6, else from where the configuration file lies.

        So the same file does in every directory.
        """
        here = self.absolute(key, text)
        beside = self.folder / text
        return beside if not here.exists() and not text.startswith("~") and beside.is_file() else here


def look(configuration: Configuration, environ: Mapping[str, str], folder: Path) -> tuple[Machine, list[Finding]]:
    """Read what the configuration refers to; what is missing is a finding. The configuration lies in `folder`."""
    ssh = configuration.networking.ssh
    search = _Search(environ, folder.absolute())
    s3, remarks = object_storage.look(configuration, environ)
    search.findings += remarks
    public_key_path = search.key_file((*_SSH, "public_key_path"), ssh.public_key_path)
    public_key = _public_key(search, public_key_path)
    machine = Machine(
        hetzner_token=_token(search, configuration),
        kubeconfig_path=str(_kubeconfig_path(search, configuration.kubeconfig_path)),
        private_key_path=None if ssh.use_agent else str(_private_key_path(search, ssh.private_key_path, public_key)),
        public_key_path=str(public_key_path),
        public_key=public_key,
        s3=s3,
    )
    return machine, search.findings


def of_file(configuration: Configuration) -> list[Finding]:
    """Check as much of it as the file alone tells: nothing of this machine is read."""
    token: Secret | None = configuration.hetzner_token
    wrong = token is not None and token and not _TOKEN.fullmatch(token.reveal())
    return [*([Finding(("hetzner_token",), _NO_TOKEN)] if wrong else []), *object_storage.problems(configuration)]


def _token(search: _Search, configuration: Configuration) -> Secret:
    token: Secret = configuration.hetzner_token or Secret(search.environ.get("HCLOUD_TOKEN", "").strip())
    if not token:
        search.complain(("hetzner_token",), "is required: give it here or in the environment variable HCLOUD_TOKEN")
    elif not _TOKEN.fullmatch(token.reveal()):
        search.complain(("hetzner_token",), _NO_TOKEN)
    return token


def _kubeconfig_path(search: _Search, text: str) -> Path:
    path = search.absolute(("kubeconfig_path",), text)
    if path.is_dir():
        search.complain(("kubeconfig_path",), f"{path} is a directory; expected the path of a file to write")
    return path


def _private_key_path(search: _Search, text: str, public_key: str) -> Path:
    key: KeyPath = (*_SSH, "private_key_path")
    path = search.key_file(key, text)
    if not path.is_file():
        search.complain(key, f"there is no private key at {path} (use_agent: true takes it from the SSH agent)")
        return path
    try:
        with path.open("rb") as file:
            private_key = file.read(key_pair.MAX_BYTES)
    except OSError as error:
        search.complain(key, f"cannot read {path}: {error.strerror}")
    else:
        if why := key_pair.problem(private_key, public_key if _PUBLIC_KEY.fullmatch(public_key) else ""):
            search.complain(key, f"{path} {why}")
    return path


def _public_key(search: _Search, path: Path) -> str:
    key: KeyPath = (*_SSH, "public_key_path")
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_KEY_BYTES).decode("ascii", errors="replace").strip()
    except OSError as error:
        search.complain(key, f"cannot read {path}: {error.strerror}")
        return ""
    if not _PUBLIC_KEY.fullmatch(text):
        search.complain(key, f"{path} is no OpenSSH public key of one line")
    return text
