"""A model of k3s v1.36.3 that a Debian host runs as /usr/local/bin/k3s, on a real etcd process.

Pure modules decide (`config`, `tokens`, `critical`, `startup`, `membership`, `election`, `api.strategy`, `api.patch`);
`server`, `agent` and `real_etcd` do. The behaviour follows RECOVERY_FACTS.md 0-1 and K3S_RUN_FACTS.md, which wins.
"""
