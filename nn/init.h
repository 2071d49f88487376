// Initial values for weights, with PyTorch's names, conventions and defaults. All functions overwrite a floating tensor
// or Parameter in place, advance the Rng, and draw the same numbers whatever the number of threads.
//
// For a weight [out, in, ...] the fan in is in * (sizes of the further axes), the fan out is out * (the same).
#pragma once

#include "core/random.h"
#include "core/tensor.h"

namespace gradus::nn::init {

void constant_(const Tensor& tensor, double value);
void zeros_(const Tensor& tensor);
void ones_(const Tensor& tensor);

/// Uniform in [low, high).
void uniform_(const Tensor& tensor, Rng& rng, double low = 0, double high = 1);
/// Normal with mean and standard deviation.
void normal_(const Tensor& tensor, Rng& rng, double mean = 0, double std = 1);
/// Normal, with values outside [low, high] drawn again. The bounds are values, not multiples of std; the mean may lie
/// at most two std outside of them.
void trunc_normal_(const Tensor& tensor, Rng& rng, double mean = 0, double std = 1, double low = -2, double high = 2);

enum class FanMode { fan_in, fan_out };
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };

/// By how much weights must grow so that a layer with this nonlinearity keeps the variance of its input (PyTorch's
/// table).
double calculate_gain(Nonlinearity nonlinearity, double negative_slope = 0.01);

struct KaimingOptions {
  double a = 0;  // negative slope of the leaky_relu that follows
  FanMode mode = FanMode::fan_in;
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
};
/// Standard deviation gain / sqrt(fan) (He et al., "Delving Deep into Rectifiers", 2015, equations 10 and 14):
/// uniform within sqrt(3) of that, or normal.
void kaiming_uniform_(const Tensor& tensor, Rng& rng, const KaimingOptions& options = {});
void kaiming_normal_(const Tensor& tensor, Rng& rng, const KaimingOptions& options = {});

/// Standard deviation gain * sqrt(2 / (fan in + fan out)) (Glorot and Bengio, "Understanding the difficulty of training
/// deep feedforward neural networks", 2010, equation 16).
void xavier_uniform_(const Tensor& tensor, Rng& rng, double gain = 1);
void xavier_normal_(const Tensor& tensor, Rng& rng, double gain = 1);

/// gain times a random matrix with orthonormal rows or columns, whichever are fewer; axes after the first count as one
/// (Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2014).
void orthogonal_(const Tensor& tensor, Rng& rng, double gain = 1);

}  // namespace gradus::nn::init
