"""How one k3s was set up: flags, files, addresses, names, timing."""
