"""The daemon is killed at every step, and the power is cut after every write."""
