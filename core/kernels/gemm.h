// Matrix products of dense row-major operands (docs/adr/0013-matrix-products.md).
//
// Every element of the result is one chain of fused multiply-adds in the order of k, starting from 0, the bias or the
// former value. No blocking, tiling or threading enters into that, so results have the same bits on any number of
// threads, and a plain loop over std::fma is an exact oracle.
#pragma once

#include "core/shape.h"

namespace gradus::kernels {

/// c = op(a) op(b), or c += op(a) op(b) when `accumulate`. op(a) is [m, k], op(b) is [k, n], c is [m, n]; an operand
/// that is transposed is stored [k, m] or [n, k]. lda, ldb, ldc: elements from one stored row to the next. `bias`, [n],
/// starts every row instead of 0; not together with accumulate. T: float or double. c must not overlap a or b.
template <class T>
void gemm(bool transpose_a, bool transpose_b, Index m, Index n, Index k, const T* a, Index lda, const T* b, Index ldb,
          T* c, Index ldc, bool accumulate, const T* bias = nullptr);

/// The same for `batch` products whose operands lie `a_stride`, `b_stride` and `c_stride` elements apart; a stride of 0
/// shares an operand. The results must not overlap.
template <class T>
void gemm_batched(bool transpose_a, bool transpose_b, Index batch, Index m, Index n, Index k, const T* a, Index lda,
                  Index a_stride, const T* b, Index ldb, Index b_stride, T* c, Index ldc, Index c_stride,
                  bool accumulate);

}  // namespace gradus::kernels
