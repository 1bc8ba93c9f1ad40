"""The log: lines on standard error, and the events of the domain among them."""
