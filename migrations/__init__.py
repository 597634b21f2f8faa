"""Alembic's migrations; `store.schema.upgrade` runs them."""
