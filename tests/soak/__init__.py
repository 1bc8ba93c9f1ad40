"""Keep a node busy, break what can break, and look for what was lost, wrong or left behind."""
