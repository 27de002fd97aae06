"""What concerns Hetzner: what it sells, how often it is asked, whom firewalls admit, load balancers."""
