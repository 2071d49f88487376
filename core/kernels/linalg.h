// Matrix decompositions by Eigen, on row-major arrays of double.
#pragma once

#include "core/shape.h"

namespace gradus::kernels {

/// Symmetric a [n, n] -> values [n] ascending, vectors [n, n] in columns. Returns false when it does not converge.
bool eigh(const double* a, Index n, double* values, double* vectors);

/// a [m, n] -> u [m, k], s [k] descending, vt [k, n] with k = min(m, n).
void svd(const double* a, Index m, Index n, double* u, double* s, double* vt);

}  // namespace gradus::kernels
