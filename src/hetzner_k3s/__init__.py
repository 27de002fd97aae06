"""hetzner-k3s: one YAML file in, a highly available k3s cluster on Hetzner Cloud out."""
