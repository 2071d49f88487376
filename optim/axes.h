// Products along one axis of a tensor, for methods with a matrix for each axis.
#pragma once

#include "core/tensor.h"

namespace gradus::optim {

/// [d, the rest] with the given axis in front: the unfolding along it. A dense copy unless the axis is the first.
Tensor unfold(const Tensor& x, int axis);

/// Multiplies every fiber along the axis by a [rows, d] matrix; the axis then has `rows` positions. Dense.
Tensor multiply_axis(const Tensor& matrix, const Tensor& x, int axis);

}  // namespace gradus::optim
