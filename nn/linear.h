// The fully connected layer.
#pragma once

#include "core/ops.h"
#include "core/random.h"
#include "nn/module.h"

namespace gradus::nn {

struct LinearOptions {
  bool bias = true;
  DType dtype = DType::f32;
};

/// x weight^T + bias: [..., in_features] -> [..., out_features].
struct Linear {
  Parameter weight;  // [out_features, in_features]
  Parameter bias;    // [out_features], or undefined

  /// Weight and bias start uniform within 1 / sqrt(in_features), as in PyTorch.
  Linear(Index in_features, Index out_features, Rng& rng, const LinearOptions& options = {});

  Tensor operator()(const Tensor& x) const { return linear(x, weight, bias); }
  static auto fields(auto& self) { return named("weight", self.weight, "bias", self.bias); }
};

}  // namespace gradus::nn
