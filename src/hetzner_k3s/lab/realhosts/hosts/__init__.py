"""Hosts of the lab: containers with their disks, control groups, mounts and processes."""
