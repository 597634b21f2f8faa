"""A service under random SIGKILLs, and an oracle that reads afterwards what became of every run."""
