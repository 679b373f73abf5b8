"""Commands that measure real processes on this machine. Not tests: nothing here asserts a time."""
