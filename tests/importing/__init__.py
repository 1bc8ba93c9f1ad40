"""Taking over the state of a snapshotter in Go."""
