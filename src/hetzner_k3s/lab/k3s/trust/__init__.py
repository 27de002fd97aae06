"""Authorities, certificates, tokens, passwords, and the bootstrap data that carries them."""
