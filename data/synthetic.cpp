#include "data/synthetic.h"

#include "core/error.h"
#include "core/ops.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace gradus::data {

namespace {

void check_points(const char* who, Index points, double noise) {
  GRADUS_CHECK(points > 0, fmt::format("{}: points is {}; expected 1 or more", who, points));
  GRADUS_CHECK(noise >= 0, fmt::format("{}: noise is {}; expected 0 or more", who, noise));
}

}  // namespace

TensorDataset spirals(const SpiralsOptions& options, Rng& rng) {
  check_points("spirals", options.points, options.noise);
  GRADUS_CHECK(options.arms > 0, fmt::format("spirals: arms is {}; expected 1 or more", options.arms));
  Tensor x = empty({options.points, 2});
  Tensor y = empty({options.points}, DType::i64);
  const auto points = x.mutable_data<float>();
  const auto arms = y.mutable_data<Index>();
  for (std::size_t i = 0; i < arms.size(); ++i) {
    const auto arm = static_cast<Index>(rng.below(static_cast<std::uint64_t>(options.arms)));
    const double radius = rng.uniform();
    const double turn = static_cast<double>(arm) / static_cast<double>(options.arms) + options.turns * radius;
    const double angle = 2 * std::numbers::pi * turn + options.noise * rng.normal();
    points[2 * i] = static_cast<float>(radius * std::cos(angle));
    points[2 * i + 1] = static_cast<float>(radius * std::sin(angle));
    arms[i] = arm;
  }
  return {x, y};
}

TensorDataset two_moons(const TwoMoonsOptions& options, Rng& rng) {
  check_points("two_moons", options.points, options.noise);
  Tensor x = empty({options.points, 2});
  Tensor y = empty({options.points}, DType::i64);
  const auto points = x.mutable_data<float>();
  const auto moons = y.mutable_data<Index>();
  for (std::size_t i = 0; i < moons.size(); ++i) {
    // Moon 0 is the upper half circle around (0, 0), moon 1 the lower one around (1, 0.5).
    const auto moon = static_cast<Index>(rng.below(2));
    const double angle = std::numbers::pi * rng.uniform();
    const double across = moon == 0 ? std::cos(angle) : 1 - std::cos(angle);
    const double up = moon == 0 ? std::sin(angle) : 0.5 - std::sin(angle);
    points[2 * i] = static_cast<float>(across + options.noise * rng.normal());
    points[2 * i + 1] = static_cast<float>(up + options.noise * rng.normal());
    moons[i] = moon;
  }
  return {x, y};
}

LinearRegression linear_regression(const LinearRegressionOptions& options, Rng& rng) {
  check_points("linear_regression", options.points, options.noise);
  GRADUS_CHECK(options.features > 0,
               fmt::format("linear_regression: features is {}; expected 1 or more", options.features));
  const Tensor weight = randn({1, options.features}, rng);
  const Tensor bias = randn({1}, rng);
  const Tensor x = randn({options.points, options.features}, rng);
  const Tensor y = linear(x, weight, bias) + options.noise * randn({options.points, 1}, rng);
  return {{x, y}, weight, bias};
}

}  // namespace gradus::data
