"""What transcripts tell of earlier runs."""
