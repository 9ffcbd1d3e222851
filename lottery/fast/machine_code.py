"""Compile Python loops to machine code with numba.

The import takes a good part of a second. The first call on a machine compiles for a few seconds. The result is kept
beside the source, or where NUMBA_CACHE_DIR says. The cache looks only at a function's own file, so a function that is
inlined stays in the file of its callers.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function at its first call. Other threads can run while the function runs."""
    try:
        ready = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # no place for the cache, as in a container with a read-only disk
        ready = numba.njit(function, nogil=True)
    return cast("Callable[P, R]", ready)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a small function into its callers, where a call would cost more than the work."""
    return cast("Callable[P, R]", numba.njit(function, inline="always"))
