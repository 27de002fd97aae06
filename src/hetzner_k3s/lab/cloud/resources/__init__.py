"""The resources, a module a kind, and what is sold."""
