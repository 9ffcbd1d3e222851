"""Fetch an element of an array from memory before it is needed. Plain compiled code cannot ask for this."""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from lottery.fast.columns import Words

TO_READ, INTO_EVERY_CACHE, OF_VALUES = 0, 3, 1


class Prefetch(Protocol):
    """The function that compiled code calls."""

    def __call__(self, array: Words, place: int | np.int64) -> None:
        """Start to fetch an element of an array, and do not wait. Past the array's end this does nothing."""


def _prefetch(_: object, array: types.Type, place: types.Type) -> tuple[Signature, Callable[..., ir.Value]]:
    """Generate LLVM's `prefetch` instruction."""

    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, given: Sequence[ir.Value]
    ) -> ir.Value:
        view = context.make_array(signature.args[0])(context, builder, given[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        instruction = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        options = [ir.Constant(number, option) for option in (TO_READ, INTO_EVERY_CACHE, OF_VALUES)]
        builder.call(instruction, [builder.bitcast(builder.gep(view.data, [given[1]]), byte), *options])
        return context.get_dummy_value()

    return types.void(array, place), generate


prefetch = cast("Prefetch", intrinsic(_prefetch))
