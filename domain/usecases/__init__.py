"""The ten operations of a snapshotter, and the upkeep around them."""
