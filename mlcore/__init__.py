"""Specs and training: the chapter's models as stacks, with no HTTP, no queue and no database."""
