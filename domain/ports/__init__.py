"""What the domain needs of the world, one Protocol a file."""
