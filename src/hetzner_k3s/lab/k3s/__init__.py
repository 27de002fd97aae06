"""A model of k3s v1.36.3 that a Debian host runs as /usr/local/bin/k3s, on a real etcd process.

Pure modules decide (`config`, `tokens`, `critical`, `startup`, `membership`, `election`, `api.strategy`, `api.patch`);
`server`, `agent` and `real_etcd` do. The behaviour follows docs/facts/k3s.md and docs/facts/etcd.md.
"""
