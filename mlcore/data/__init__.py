"""Data sets: Fashion-MNIST, and what is generated."""
