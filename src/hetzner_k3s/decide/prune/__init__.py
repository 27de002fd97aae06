"""What is beyond the file: named, and removed with `Prune`."""
