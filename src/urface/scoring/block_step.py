"""The innermost step of the fused matrix: ROWS x STRIP pairs meet in one sub-embedding, in the registers.

A BLAS prepares each product anew, which at a depth of 32 costs more than half of the product itself, and
LLVM does not find this form in a loop over arrays. So it is written for LLVM as it is: 12 sums of 8 float32
(the 16 vector registers of AVX2 hold them, with a row of the panel), each raised by one multiply-add for
each step of depth, and then used where they are. On other processors LLVM splits or widens the vectors.

Numba keeps what it compiled of fused.py until that file changes: who edits this one must touch it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

ROWS, LANES, VECTORS = 6, 8, 2
STRIP = LANES * VECTORS  # columns
WIDTH = (
    128  # columns of a panel: one sub-embedding of it (16 KB at D = 32) stays in the first cache
)

INDEX, FLOAT = ir.IntType(64), ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
FUSE = ("contract",)  # multiply and add may become one instruction, and are not reordered


def _block_step(
    typing: Any,
    left: Any,
    left_first: Any,
    strip: Any,
    strip_first: Any,
    depth: Any,
    own: Any,
    own_first: Any,
    others: Any,
    others_first: Any,
    running: Any,
    running_first: Any,
) -> Any:
    """n / p <- n / p + d / t of ROWS x STRIP pairs, inside njit, of contiguous arrays of float32, unchecked.

    Each array from its number ``first`` in memory, since a slice would cost more than it looks:
    left     [depth, ROWS]   means of the rows, depth at least 1
    strip    [depth, STRIP]  -2 times the means of the columns
    own      [2, ROWS]       variances of the rows, and ||f||^2 - 1
    others   [2, WIDTH]      the same of the columns, of which the strip's are the first
    running  [ROWS, 2, WIDTH]  n and p of the pairs, likewise

    d = (2 + sum_d left * strip) + (excess + excess): of nearly equal faces the product is about -2, and the
    first sum exact. t = variance + variance.
    """
    del typing
    signature = types.void(
        *(left, types.intp, strip, types.intp, types.intp),
        *(own, types.intp, others, types.intp, running, types.intp),
    )
    del left_first, strip_first, depth, own_first, others_first, running_first
    return signature, _emit


block_step: Any = intrinsic(_block_step)  # called with all but the first argument


def _emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    def pointer(array: int, first: Any) -> Any:
        data = context.make_array(signature.args[array])(context, builder, values[array]).data
        return builder.gep(data, [first])

    def further(start: Any, numbers: int) -> Any:
        return builder.gep(start, [INDEX(numbers)])

    def vector(start: Any, numbers: int) -> Any:
        return builder.bitcast(further(start, numbers), VECTOR.as_pointer())

    def load(start: Any, numbers: int) -> Any:
        return builder.load(vector(start, numbers), align=4)

    def same(start: Any, numbers: int) -> Any:
        """One number in all lanes."""
        nothing = ir.Constant(VECTOR, ir.Undefined)
        one = builder.insert_element(nothing, builder.load(further(start, numbers)), INDEX(0))
        first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(one, nothing, first)

    def add(a: Any, b: Any) -> Any:
        return builder.fadd(a, b, flags=FUSE)

    def multiply(a: Any, b: Any) -> Any:
        return builder.fmul(a, b, flags=FUSE)

    left, strip = pointer(0, values[1]), pointer(2, values[3])
    depth, zero = values[4], INDEX(0)
    own, others, running = (pointer(place, values[place + 1]) for place in (5, 7, 9))
    places = [(row, number) for row in range(ROWS) for number in range(VECTORS)]

    entry = builder.block
    loop, done = (builder.append_basic_block(name) for name in ("depth", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    d = builder.phi(INDEX)
    sums = {place: builder.phi(VECTOR) for place in places}
    here = builder.gep(left, [builder.mul(d, INDEX(ROWS))])
    there = builder.gep(strip, [builder.mul(d, INDEX(STRIP))])
    columns = [load(there, number * LANES) for number in range(VECTORS)]
    raised = {}
    for row in range(ROWS):
        mean = same(here, row)
        for number in range(VECTORS):
            raised[row, number] = add(sums[row, number], multiply(mean, columns[number]))
    following = builder.add(d, INDEX(1))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)
    d.add_incoming(zero, entry)
    d.add_incoming(following, loop)
    for place in places:
        sums[place].add_incoming(ir.Constant(VECTOR, [0.0] * LANES), entry)
        sums[place].add_incoming(raised[place], loop)

    builder.position_at_end(done)
    two = ir.Constant(VECTOR, [2.0] * LANES)
    for row, number in places:
        at_n, at_p = (row * 2 * WIDTH + half * WIDTH + number * LANES for half in range(2))
        n, p = load(running, at_n), load(running, at_p)
        t = add(same(own, row), load(others, number * LANES))
        excess = add(same(own, ROWS + row), load(others, WIDTH + number * LANES))
        distance = add(add(raised[row, number], two), excess)
        raised_n = add(multiply(n, t), multiply(distance, p))
        builder.store(raised_n, vector(running, at_n), align=4)
        builder.store(multiply(p, t), vector(running, at_p), align=4)
    return context.get_dummy_value()
