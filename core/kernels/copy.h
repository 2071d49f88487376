// Filling, copying between layouts, and converting between dtypes.
#pragma once

#include "core/dtype.h"
#include "core/shape.h"

namespace gradus::kernels {

void fill(DType dtype, void* data, Index count, double value);

/// to[i] = from[i] for every index of `shape`, converted between dtypes; strides in elements.
void copy(DType to_dtype, void* to, const Strides& to_strides, DType from_dtype, const void* from,
          const Strides& from_strides, const Shape& shape);

}  // namespace gradus::kernels
