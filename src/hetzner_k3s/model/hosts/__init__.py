"""What concerns hosts: where they are reached, what lies on them, what they were made with."""
