"""What stands behind the ports of the domain: database, file system, sources, clock, logs."""
