"""What monitoring reads: counters of what happened, and an HTTP server for them and for health."""
