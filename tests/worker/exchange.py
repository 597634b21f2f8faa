"""Run as a program: one producer or consumer of the filesystem transport.

exchange.py produce FOLDER NAME COUNT    publishes COUNT messages
exchange.py consume FOLDER FILE COUNT    appends what it gets to FILE until it gets a message "stop"
"""

import sys
from pathlib import Path

from kombu.connection import Connection


def connect(folder: str) -> Connection:
    return Connection(  # type: ignore[no-untyped-call]
        "filesystem://",
        transport="worker.filesystem:Transport",
        transport_options={"data_folder_in": folder, "data_folder_out": folder},
    )


def produce(folder: str, name: str, count: int) -> None:
    with connect(folder) as connection, connection.SimpleQueue("cpu") as queue:
        for number in range(count):
            queue.put({"message": f"{name}-{number}"}, serializer="json")


def consume(folder: str, file: Path) -> None:
    with connect(folder) as connection, connection.SimpleQueue("cpu") as queue, file.open("a", buffering=1) as got:
        while True:
            try:
                message = queue.get(timeout=1)
            except queue.Empty:
                continue
            message.ack()
            if message.payload["message"].startswith("stop"):
                return
            got.write(message.payload["message"] + "\n")


def main() -> None:
    role, folder, name, count = sys.argv[1:]
    if role == "produce":
        produce(folder, name, int(count))
    else:
        consume(folder, Path(name))


if __name__ == "__main__":
    main()
