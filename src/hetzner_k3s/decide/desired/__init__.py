"""What each thing should be by the file, compared with what was seen (ARCHITECTURE §12)."""
