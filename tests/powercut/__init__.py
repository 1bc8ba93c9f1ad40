"""The power is cut after every write to the database; what was answered is there nevertheless."""
