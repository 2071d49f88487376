// QR decomposition.
#pragma once

#include "core/shape.h"

namespace gradus::kernels {

/// Replaces a, row-major [rows, cols] with rows >= cols, by the Q of its QR decomposition with a positive diagonal of
/// R: orthonormal columns, the same for every thread count.
void orthonormalize(double* a, Index rows, Index cols);

}  // namespace gradus::kernels
