#include "nn/init.h"

#include "core/autograd.h"
#include "core/error.h"
#include "core/kernels/qr.h"
#include "core/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace gradus::nn::init {
namespace {

void check_floating(const Tensor& tensor, const char* name) {
  GRADUS_CHECK(tensor.defined() && is_floating(tensor.dtype()),
               fmt::format("init::{}_: needs a floating tensor, got {}", name, describe(tensor)));
}

/// Overwrites a parameter or any other leaf.
void assign(Tensor tensor, const Tensor& values) {
  const NoGrad no_grad;
  tensor.copy_(values);
}

/// Random numbers are drawn in f64 for f64 and in f32 for all else.
DType draw_dtype(const Tensor& tensor) { return tensor.dtype() == DType::f64 ? DType::f64 : DType::f32; }

struct Fans {
  double in, out;
};

Fans fans_of(const Tensor& tensor, const char* name) {
  check_floating(tensor, name);
  GRADUS_CHECK(tensor.rank() >= 2,
               fmt::format("init::{}_: fan in and fan out need at least two axes [out, in, ...]\n  got {}", name,
                           describe(tensor)));
  double field = 1;
  for (int axis = 2; axis < tensor.rank(); ++axis) field *= static_cast<double>(tensor.shape()[axis]);
  return {static_cast<double>(tensor.shape()[1]) * field, static_cast<double>(tensor.shape()[0]) * field};
}

double kaiming_std(const Tensor& tensor, const KaimingOptions& options, const char* name) {
  const Fans fans = fans_of(tensor, name);
  const double fan = options.mode == FanMode::fan_in ? fans.in : fans.out;
  return calculate_gain(options.nonlinearity, options.a) / std::sqrt(std::max(fan, 1.0));  // an empty tensor has fan 0
}

double xavier_std(const Tensor& tensor, double gain, const char* name) {
  const Fans fans = fans_of(tensor, name);
  return gain * std::sqrt(2.0 / std::max(fans.in + fans.out, 1.0));
}

void uniform_within(const Tensor& tensor, Rng& rng, double bound) { uniform_(tensor, rng, -bound, bound); }

}  // namespace

void constant_(const Tensor& tensor, double value) {
  check_floating(tensor, "constant");
  assign(tensor, full(tensor.shape(), value, tensor.dtype()));
}
void zeros_(const Tensor& tensor) { constant_(tensor, 0); }
void ones_(const Tensor& tensor) { constant_(tensor, 1); }

void uniform_(const Tensor& tensor, Rng& rng, double low, double high) {
  check_floating(tensor, "uniform");
  GRADUS_CHECK(low <= high, fmt::format("init::uniform_: low {} is above high {}", low, high));
  assign(tensor, rand(tensor.shape(), rng, low, high, draw_dtype(tensor)));
}

void normal_(const Tensor& tensor, Rng& rng, double mean, double std) {
  check_floating(tensor, "normal");
  GRADUS_CHECK(std >= 0, fmt::format("init::normal_: std must be 0 or positive, got {}", std));
  const NoGrad no_grad;
  assign(tensor, affine(randn(tensor.shape(), rng, draw_dtype(tensor)), std, mean));
}

void trunc_normal_(const Tensor& tensor, Rng& rng, double mean, double std, double low, double high) {
  check_floating(tensor, "trunc_normal");
  GRADUS_CHECK(
      std > 0 && low < high,
      fmt::format("init::trunc_normal_: needs std > 0 and low < high\n  got std {}, [{}, {}]", std, low, high));
  GRADUS_CHECK(mean >= low - 2 * std && mean <= high + 2 * std,
               fmt::format("init::trunc_normal_: the mean may lie at most two std outside [low, high]\n"
                           "  got mean {}, std {}, [{}, {}]",
                           mean, std, low, high));
  // Propose, and accept or draw again. An interval wider than one std catches at least 2 % of normal proposals; in a
  // narrower one the density varies little, and uniform proposals pass with the density as their probability.
  const bool is_narrow = high - low < std;
  const double mode = std::clamp(mean, low, high);
  const auto log_density = [&](double x) { return -0.5 * (x - mean) * (x - mean) / (std * std); };
  const auto draw = [&] {
    for (;;) {
      const double x = is_narrow ? low + (high - low) * rng.uniform() : mean + std * rng.normal();
      if (is_narrow ? rng.uniform() < std::exp(log_density(x) - log_density(mode)) : x >= low && x <= high) return x;
    }
  };
  std::vector<double> values(static_cast<std::size_t>(tensor.numel()));
  for (double& value : values) value = draw();
  assign(tensor, gradus::tensor(values, tensor.shape(), DType::f64));
}

double calculate_gain(Nonlinearity nonlinearity, double negative_slope) {
  switch (nonlinearity) {
    case Nonlinearity::tanh: return 5.0 / 3;
    case Nonlinearity::relu: return std::numbers::sqrt2;
    case Nonlinearity::leaky_relu: return std::sqrt(2 / (1 + negative_slope * negative_slope));
    case Nonlinearity::selu: return 0.75;
    case Nonlinearity::linear:
    case Nonlinearity::sigmoid: break;
  }
  return 1;
}

void kaiming_uniform_(const Tensor& tensor, Rng& rng, const KaimingOptions& options) {
  uniform_within(tensor, rng, std::numbers::sqrt3 * kaiming_std(tensor, options, "kaiming_uniform"));
}
void kaiming_normal_(const Tensor& tensor, Rng& rng, const KaimingOptions& options) {
  normal_(tensor, rng, 0, kaiming_std(tensor, options, "kaiming_normal"));
}

void xavier_uniform_(const Tensor& tensor, Rng& rng, double gain) {
  uniform_within(tensor, rng, std::numbers::sqrt3 * xavier_std(tensor, gain, "xavier_uniform"));
}
void xavier_normal_(const Tensor& tensor, Rng& rng, double gain) {
  normal_(tensor, rng, 0, xavier_std(tensor, gain, "xavier_normal"));
}

void orthogonal_(const Tensor& tensor, Rng& rng, double gain) {
  check_floating(tensor, "orthogonal");
  GRADUS_CHECK(tensor.rank() >= 2, fmt::format("init::orthogonal_: needs at least two axes, got {}", describe(tensor)));
  if (tensor.numel() == 0) return;
  const Index rows = tensor.shape()[0];
  const Index cols = tensor.numel() / rows;
  const NoGrad no_grad;
  Tensor tall = randn({std::max(rows, cols), std::min(rows, cols)}, rng, DType::f64);
  kernels::orthonormalize(tall.mutable_data<double>().data(), tall.shape()[0], tall.shape()[1]);
  const Tensor matrix = rows >= cols ? tall : transpose(tall);
  assign(tensor, affine(reshape(contiguous(matrix), tensor.shape()), gain, 0));
}

}  // namespace gradus::nn::init
