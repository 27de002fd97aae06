"""The host operations on simulated hosts: each does what its script in `hosts/scripts` does."""
