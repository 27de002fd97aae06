"""What concerns Hetzner: what it sells, whom firewalls admit, load balancers, what servers use."""
