"""What hosts and operators find on the internet, inside the lab."""
