"""The cost model that chooses, for each contraction over examples, between ghost norms and instantiated terms."""

from __future__ import annotations

__all__ = ["FLOPS_PER_FLOAT", "LARGEST", "ghost_pays", "ghost_pays_for_rows"]

#: A float that is written or read counts as this many flops: memory, not arithmetic, is what most processors wait for.
FLOPS_PER_FLOAT = 8

#: Terms of more floats than this (256 MB) are not instantiated where Gram matrices are smaller.
LARGEST = 1 << 26


def ghost_pays(rows: int, m: int, n: int, batch: int) -> bool:
    """Whether the norm of ``sum_t a_t b_t^T`` (``m x n``, ``rows`` products an example) is cheaper without the sum.

    Per example, with r rows:

    - ghost: two Gram matrices, ``2 r^2 (m + n)`` flops, written, read, multiplied and summed (6 passes over ``r^2``
      floats); the clipped sum then repeats the contraction, ``2 r m n`` flops;
    - instantiation: ``2 r m n`` flops for the term, and 7 passes over its ``m n`` floats (written; squared; summed;
      cleaned of what is not finite; read for the clipped sum, which is one product of ``2 m n`` flops).

    The two ``2 r m n`` cancel.
    """
    if rows == 1:
        return True
    if batch * m * n > LARGEST:
        return rows * rows < m * n
    gram = rows * rows * (2 * (m + n) + 6 * FLOPS_PER_FLOAT)
    made = m * n * (7 * FLOPS_PER_FLOAT + 2)
    return gram < made


def ghost_pays_for_rows(rows: int, table: int, width: int, batch: int) -> bool:
    """The same for a look-up: ``rows`` gradients of ``width`` values are added into a table of ``table`` rows.

    Ghost: one Gram matrix of ``2 r^2 width`` flops, a matrix of equal indices, 8 passes over ``r^2`` floats.
    Instantiation: the indicator of the ids, 2 passes over ``r * table`` floats; its product with the gradients,
    ``2 r table width`` flops; 7 passes over ``table * width`` floats.
    """
    if batch * table * width > LARGEST:
        return rows * rows < table * width
    gram = rows * rows * (2 * width + 8 * FLOPS_PER_FLOAT)
    return gram < table * (width * (7 * FLOPS_PER_FLOAT + 2 + 2 * rows) + 2 * rows * FLOPS_PER_FLOAT)
