"""Taking over the state of a snapshotter in Go, step by step and with a way back."""
