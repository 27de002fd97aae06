"""The nouns: frozen dataclasses over the standard library, without I/O, clock or randomness."""
