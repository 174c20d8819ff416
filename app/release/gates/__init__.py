"""What is checked of a candidate before it takes traffic."""
