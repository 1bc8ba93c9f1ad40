"""Input from those who wish the node ill: requests, layers, and what lies around them."""
