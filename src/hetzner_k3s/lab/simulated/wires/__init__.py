"""What lies between an operator's machine and the world: the wires that its ports speak over."""
