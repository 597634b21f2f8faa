"""How the processes of the service log."""

import logging


def configure_logging(process: str) -> None:
    """Log to stderr, each line with its time and the name of its process."""
    logging.basicConfig(format=f"%(asctime)s %(levelname)s {process}: %(message)s", level=logging.INFO, force=True)
    for chatty in ("celery", "kombu", "alembic", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
