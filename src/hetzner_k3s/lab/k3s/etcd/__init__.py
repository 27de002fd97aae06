"""etcd as the model of k3s needs it: a port, a real process, a deterministic twin, and decisions about members."""
