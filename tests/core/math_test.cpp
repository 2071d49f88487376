// The float functions of the kernels against the C library's double ones, over a dense sweep of all floats.
#include "core/kernels/math.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace math = gradus::math;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// The largest error in units of the last place of the right result, over floats in [low, high].
template <class F, class Exact>
double worst_ulp(F f, Exact exact, float low, float high) {
  double worst = 0;
  for (std::uint64_t bits = 0; bits <= 0xffffffffU; bits += 4099) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!(x >= low && x <= high)) continue;
    const double want = exact(static_cast<double>(x));
    const float rounded = std::fabs(static_cast<float>(want));
    const float got = f(x);
    if (std::isinf(got) || std::isinf(rounded)) {
      if (!(std::fabs(got) == rounded)) return kInfinity;
      continue;
    }
    const double ulp = static_cast<double>(std::nextafter(rounded, kInfinity)) - static_cast<double>(rounded);
    const double error = std::fabs(static_cast<double>(got) - want) / ulp;
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

// Out of line, so that each is compiled as one plain loop, as kernels are.
template <class F>
[[gnu::noinline]] void loop(F f, const float* x, float* y, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) y[i] = f(x[i]);
}

template <class F>
bool same_bits_in_body_and_tail(F f) {
  std::vector<float> x(61), whole(61), single(61);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.11F * (static_cast<float>(i) - 30.0F);
  loop(f, x.data(), whole.data(), x.size());
  for (std::size_t i = 0; i < x.size(); ++i) loop(f, &x[i], &single[i], 1);
  return std::equal(whole.begin(), whole.end(), single.begin(), [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  });
}

}  // namespace

TEST_CASE("math::exp", "[math]") {
  const auto exact = [](double x) { return std::exp(x); };
  CHECK(worst_ulp(math::exp<float>, exact, -kInfinity, kInfinity) <= 1.0);
  CHECK(math::exp(0.0F) == 1.0F);
  CHECK(math::exp(-kInfinity) == 0.0F);
  CHECK(math::exp(kInfinity) == kInfinity);
  CHECK(math::exp(88.8F) == kInfinity);
  CHECK(math::exp(88.72F) < kInfinity);
  CHECK(math::exp(-100.0F) > 0.0F);  // denormal
  CHECK(std::isnan(math::exp(kNaN)));
  CHECK(math::exp(1.5) == std::exp(1.5));
}

TEST_CASE("math::log", "[math]") {
  CHECK(worst_ulp(
            math::log<float>, [](double x) { return std::log(x); }, 0.0F, kInfinity) <= 1.0);
  CHECK(math::log(1.0F) == 0.0F);
  CHECK(math::log(0.0F) == -kInfinity);
  CHECK(math::log(-0.0F) == -kInfinity);
  CHECK(math::log(kInfinity) == kInfinity);
  CHECK(std::isnan(math::log(-1.0F)));
  CHECK(std::isnan(math::log(-kInfinity)));
  CHECK(std::isnan(math::log(kNaN)));
  CHECK(math::log(1.5) == std::log(1.5));
}

TEST_CASE("math::tanh", "[math]") {
  CHECK(worst_ulp(
            math::tanh<float>, [](double x) { return std::tanh(x); }, -kInfinity, kInfinity) <= 2.5);
  CHECK(math::tanh(0.0F) == 0.0F);
  CHECK(std::signbit(math::tanh(-0.0F)));
  CHECK(math::tanh(kInfinity) == 1.0F);
  CHECK(math::tanh(-kInfinity) == -1.0F);
  CHECK(std::isnan(math::tanh(kNaN)));
  CHECK(math::tanh(0.7) == std::tanh(0.7));
}

TEST_CASE("math::sigmoid", "[math]") {
  CHECK(worst_ulp(math::sigmoid<float>, math::sigmoid<double>, -kInfinity, kInfinity) <= 2.5);
  CHECK(math::sigmoid(0.0F) == 0.5F);
  CHECK(math::sigmoid(kInfinity) == 1.0F);
  CHECK(math::sigmoid(-kInfinity) == 0.0F);
  CHECK(std::isnan(math::sigmoid(kNaN)));
  CHECK(math::sigmoid(-2.0) == Approx(1 / (1 + std::exp(2.0))));
}

TEST_CASE("math::softplus", "[math]") {
  CHECK(worst_ulp(math::softplus<float>, math::softplus<double>, -kInfinity, kInfinity) <= 2.0);
  CHECK(math::softplus(kInfinity) == kInfinity);
  CHECK(math::softplus(-kInfinity) == 0.0F);
  CHECK(std::isnan(math::softplus(kNaN)));
  CHECK(math::softplus(1.0) == Approx(std::log1p(std::exp(1.0))));
}

TEST_CASE("math::erf", "[math]") {
  CHECK(worst_ulp(
            math::erf<float>, [](double x) { return std::erf(x); }, -kInfinity, kInfinity) <= 2.0);
  CHECK(math::erf(0.0F) == 0.0F);
  CHECK(std::signbit(math::erf(-0.0F)));
  CHECK(math::erf(kInfinity) == 1.0F);
  CHECK(math::erf(-kInfinity) == -1.0F);
  CHECK(std::isnan(math::erf(kNaN)));
  CHECK(math::erf(0.3) == std::erf(0.3));
}

TEST_CASE("vector body and scalar tail of a loop give the same bits", "[math]") {
  CHECK(same_bits_in_body_and_tail([](float x) { return math::exp(x); }));
  CHECK(same_bits_in_body_and_tail([](float x) { return math::log(x + 4); }));
  CHECK(same_bits_in_body_and_tail([](float x) { return math::tanh(x); }));
  CHECK(same_bits_in_body_and_tail([](float x) { return math::sigmoid(x); }));
  CHECK(same_bits_in_body_and_tail([](float x) { return math::softplus(x); }));
  CHECK(same_bits_in_body_and_tail([](float x) { return math::erf(x); }));
}
