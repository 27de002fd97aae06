"""What an observation means: the control plane, its members, who is well, who is gone. Every rule reads it."""
