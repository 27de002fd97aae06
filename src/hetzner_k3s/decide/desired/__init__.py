"""What each thing should be by the file, compared with what was seen.

See docs/architecture.md#differences.
"""
