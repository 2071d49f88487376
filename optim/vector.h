// Sums over whole tensors, in double, with the same bits for any number of threads. For rules that need a norm or an
// inner product, per tensor or over all of them. f32 or f64, dense.
#pragma once

#include "core/tensor.h"

namespace gradus::optim {

double dot(const Tensor& a, const Tensor& b);
double squared_norm(const Tensor& x);
/// Sum of |x|.
double abs_sum(const Tensor& x);
/// Largest |x|; 0 for no elements, NaN if one is NaN.
double abs_max(const Tensor& x);
/// Sum of |x|^p.
double power_sum(const Tensor& x, double p);

}  // namespace gradus::optim
