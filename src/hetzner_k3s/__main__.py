"""`python -m hetzner_k3s`: the command, for where no script is installed."""

from hetzner_k3s.cli.app import main

main()
