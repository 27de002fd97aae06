"""What `status` shows: the same facts, told instead of decided upon."""
