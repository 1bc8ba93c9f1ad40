"""The gRPC interfaces that are served and used: sources and, beside them, generated code."""
