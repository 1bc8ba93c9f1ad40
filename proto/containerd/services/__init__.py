"""Services that containerd calls or offers."""
