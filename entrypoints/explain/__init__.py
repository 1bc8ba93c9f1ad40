"""Why a layer comes from a source, or does not: for an image, a layer, or a snapshot."""
