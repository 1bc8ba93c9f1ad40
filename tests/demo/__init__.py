"""The demonstration that `script/demo` runs: pulls and containers with and without our layers."""

import signal

# Until `supervise` takes over there is nothing to clean up, and a Ctrl-C needs no traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)
