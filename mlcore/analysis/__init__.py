"""What the numbers of finished runs show, and what they cannot."""
