"""Asking and telling the daemon, for its operator."""
