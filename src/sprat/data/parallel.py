"""parallel: a function over many items with a few threads, in order; Pillow decodes outside Python's lock."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

_CHUNK = 64
_MAX_THREADS = 8


def map_threads(function: Callable[[T], R], items: Sequence[T], on_progress: Progress | None) -> list[R]:
    """[function(item) for item in items]; after the first exception no further chunk is begun."""
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    results: list[R] = []
    with ThreadPoolExecutor(min(_MAX_THREADS, _num_cpus())) as pool:
        try:
            for part in pool.map(lambda chunk: [function(item) for item in chunk], chunks):
                results += part
                if on_progress is not None:
                    on_progress(len(results), len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def _num_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
