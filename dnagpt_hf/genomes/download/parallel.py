"""Several things at a time, in threads that end when they are told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

# seconds that threads get to end in; one that waits for a server is left behind
PATIENCE = 1.0
Item = TypeVar("Item")
Result = TypeVar("Result")


class Sum:
    """The sum of what several threads report.

    Args:
        report: called with each new sum.

    Example:

        >>> done = Sum(print)
        >>> done.put("a", 3); done.put("b", 4); done.put("a", 5)
        3
        7
        9
    """

    def __init__(self, report: Callable[[int], object]) -> None:
        self.report = report
        self.parts: dict[Hashable, int] = {}
        self.total = 0
        self.lock = threading.Lock()

    def put(self, part: Hashable, done: int) -> None:
        """Take note of how much of a part is done."""
        with self.lock:
            self.total += done - self.parts.get(part, 0)
            self.parts[part] = done
            total = self.total
        self.report(total)


def in_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int,
    stop: threading.Event,
    report: Callable[[int], object] = lambda done: None,
) -> list[Result | Exception]:
    """Apply a function to items in threads.

    Args:
        function: applied to each item.
        jobs: threads.
        stop: set when the wait for the results ends early, by Ctrl-C too; `function` must then end.
        report: called with the number of items that are done.

    Returns:
        In the order of the items, results, or the `ValueError`s and `OSError`s in their place.
        Any other error is raised.
    """
    waiting: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, Result | Exception]] = SimpleQueue()
    for index in range(len(items)):
        waiting.put(index)

    def work() -> None:
        while True:
            try:
                index = waiting.get_nowait()
            except Empty:
                return
            try:
                outcome: Result | Exception = function(items[index])
            except Exception as error:
                outcome = error
            done.put((index, outcome))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(items)))]
    for thread in threads:
        thread.start()
    outcomes: dict[int, Result | Exception] = {}
    try:
        while len(outcomes) < len(items):
            index, outcome = done.get()
            if isinstance(outcome, Exception) and not isinstance(outcome, ValueError | OSError):
                raise outcome
            outcomes[index] = outcome
            report(len(outcomes))
    except BaseException:
        stop.set()
        deadline = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(timeout=max(deadline - time.monotonic(), 0.0))
        raise
    return [outcomes[index] for index in range(len(items))]
