"""The embedded Hetzner cloud: one state machine of the cloud, one model of k3s, real Debian hosts."""
