// Activation functions as layers, for Sequential. They hold settings alone, so they need no field list.
#pragma once

#include "core/ops.h"

namespace gradus::nn {

/// max(x, 0).
struct ReLU {
  Tensor operator()(const Tensor& x) const { return relu(x); }
};

struct LeakyReLU {
  double negative_slope = 0.01;
  Tensor operator()(const Tensor& x) const { return leaky_relu(x, negative_slope); }
};

struct GELU {
  Gelu approximation = Gelu::exact;
  Tensor operator()(const Tensor& x) const { return gelu(x, approximation); }
};

/// x sigmoid(x).
struct SiLU {
  Tensor operator()(const Tensor& x) const { return silu(x); }
};

struct Tanh {
  Tensor operator()(const Tensor& x) const { return tanh(x); }
};

struct Sigmoid {
  Tensor operator()(const Tensor& x) const { return sigmoid(x); }
};

/// log(1 + exp(x)).
struct Softplus {
  Tensor operator()(const Tensor& x) const { return softplus(x); }
};

struct Softmax {
  int dim = -1;
  Tensor operator()(const Tensor& x) const { return softmax(x, dim); }
};

struct LogSoftmax {
  int dim = -1;
  Tensor operator()(const Tensor& x) const { return log_softmax(x, dim); }
};

/// x itself: a placeholder.
struct Identity {
  Tensor operator()(const Tensor& x) const { return x; }
};

}  // namespace gradus::nn
