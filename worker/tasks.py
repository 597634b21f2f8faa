"""The one task there is."""

from collections.abc import Callable

from celery import Celery

from worker.broker import TASK


def register(app: Celery, work: Callable[[], None]) -> None:
    """Let every hint that arrives call `work`."""

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def there_is_work() -> None:
        work()
