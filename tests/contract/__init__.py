"""Real clients against the embedded cloud, and the cloud against the official document."""
