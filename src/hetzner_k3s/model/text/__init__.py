"""Texts from outside and for people: documents with types, plain YAML, what a terminal may see, wording."""
