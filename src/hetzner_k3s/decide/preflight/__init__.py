"""What must be right before anything joins or is bought: clocks, alarms, configuration, tokens, orders."""
