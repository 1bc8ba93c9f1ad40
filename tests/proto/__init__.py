"""gRPC code for services that only tests call; generated from the .proto files beside it."""
