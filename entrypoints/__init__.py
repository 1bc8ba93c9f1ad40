"""The ways in: the gRPC service, the command line, the daemon that wires it all together."""
