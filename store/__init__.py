"""The database: tables, sessions and the state machine of runs and jobs. Knows nothing of HTTP, Celery or torch."""
