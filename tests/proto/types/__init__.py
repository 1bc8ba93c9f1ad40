"""Messages that several of containerd's services share."""
