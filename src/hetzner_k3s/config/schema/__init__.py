"""The configuration file, key by key: names, types, defaults, and what of it has an effect already."""
