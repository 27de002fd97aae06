"""`k3s certificate rotate-ca` on a simulated master: only the datastore changes.

See docs/facts/k3s.md#ca-rotation.

Each master takes the new CA over when it is started the next time; a worker too, if its token pins that one.
"""

from __future__ import annotations

import datetime

from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.trust import ca_rotation, tokens
from hetzner_k3s.lab.k3s.trust.bootstrap import File
from hetzner_k3s.lab.k3s.trust.certificates import Pair
from hetzner_k3s.lab.k3s.trust.pki import AUTHORITIES
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.k3s import k3s_files

_CA = "ServerCA"


async def rotate_ca(host: Host) -> None:
    """Rotate the server CA as k3s' own script does; the other authorities are not followed here.

    Raises:
        Fatal: k3s does not serve here.
    """
    server, disk = host.server, host.disk
    if server is None or not server.api_ready or disk.token is None:
        raise Fatal("Error: see server log for details: not authorized")
    password = tokens.parse(disk.token).password
    key, now = tokens.storage_key(password), host.site.clock.now()
    found = (await server.member().get(key)).entries[0]
    bundle = k3s_files.unseal({key: found.value}, password)
    before = Pair(bundle[_CA].content, bundle[f"{_CA}Key"].content)
    source = ca_rotation.seeded(host.chance.token_hex(24))
    when = datetime.datetime.fromtimestamp(now, datetime.UTC)
    pair = ca_rotation.rotated(before, AUTHORITIES[_CA][1], when, source)
    bundle |= {_CA: File(pair.certificate, now), f"{_CA}Key": File(pair.key, now)}
    await server.member().put(key, k3s_files.seal(bundle, password), found.mod_revision)
