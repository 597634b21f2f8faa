"""The queue: hints over Celery, slots that claim and train jobs, and the janitor."""
