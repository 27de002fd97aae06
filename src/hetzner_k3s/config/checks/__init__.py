"""What settings ask of one another and of this machine."""
