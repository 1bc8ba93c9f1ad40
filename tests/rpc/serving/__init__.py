"""The server on grpcio's core."""
