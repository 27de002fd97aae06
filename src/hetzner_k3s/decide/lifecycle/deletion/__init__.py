"""Deletion: what goes and in which order, what stands in its way, what it leaves."""
