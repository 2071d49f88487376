// Dropout (Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014).
#pragma once

#include "core/random.h"
#include "core/tensor.h"

namespace gradus::nn {

/// While training, zeroes each element with probability p and scales the others by 1 / (1 - p); else x itself.
class Dropout {
 public:
  /// p in [0, 1). Takes a random stream of its own from `rng`, which advances, so that layers do not depend on the
  /// order of each other's calls.
  Dropout(double p, Rng& rng);

  Tensor operator()(const Tensor& x) const;

  bool training = true;  // nn::train and nn::eval set it

 private:
  double p_;
  mutable Rng rng_;  // where in its stream the layer is; two threads must not call the same layer
};

}  // namespace gradus::nn
