"""World 1: cloud, hosts and k3s in one process on virtual time, every choice drawn from one seed."""
