"""What the state of the cloud does to the machines behind it."""
