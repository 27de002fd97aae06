"""A simulated host: its disk, its units, and what it is made and refuses with."""
