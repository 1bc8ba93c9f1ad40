"""The demonstration that `script/demo` runs: pulls and containers with and without our layers."""
