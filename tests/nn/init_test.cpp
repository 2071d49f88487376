#include "nn/init.h"

#include "core/ops.h"
#include "core/parallel.h"
#include "nn/linear.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace gradus;
using Catch::Matchers::Contains;
using gradus::testing::error_of;
namespace init = nn::init;

namespace {

struct Moments {
  double mean = 0, std = 0, low = 0, high = 0;
};

Moments moments(const Tensor& x) {
  const auto values = x.to_vector();
  Moments m;
  for (const double v : values) m.mean += v / static_cast<double>(values.size());
  for (const double v : values) m.std += (v - m.mean) * (v - m.mean) / static_cast<double>(values.size());
  m.std = std::sqrt(m.std);
  m.low = *std::min_element(values.begin(), values.end());
  m.high = *std::max_element(values.begin(), values.end());
  return m;
}

template <class Init>
Moments drawn(Init&& initialize, const Shape& shape = {400, 250}) {
  Rng rng(5);
  const Tensor x = empty(shape);
  initialize(x, rng);
  return moments(x);
}

/// Uniform within `bound`: all values inside, the moments those of the distribution.
void check_uniform(const Moments& m, double bound) {
  CHECK(m.low >= -bound);
  CHECK(m.high <= bound);
  CHECK(m.high > 0.99 * bound);
  CHECK(m.std == Approx(bound / std::sqrt(3)).epsilon(0.01));
  CHECK(std::abs(m.mean) < 0.01 * bound);
}

void check_normal(const Moments& m, double mean, double std) {
  CHECK(m.std == Approx(std).epsilon(0.01));
  CHECK(std::abs(m.mean - mean) < 0.02 * std);
  CHECK(m.high - mean > 3.5 * std);
}

}  // namespace

TEST_CASE("uniform and normal have the moments asked for") {
  check_uniform(drawn([](const auto& x, auto& rng) { init::uniform_(x, rng, -0.5, 0.5); }), 0.5);
  check_normal(drawn([](const auto& x, auto& rng) { init::normal_(x, rng, 3, 0.02); }), 3, 0.02);
}

TEST_CASE("kaiming follows the fan and the nonlinearity") {
  // weight [400, 250]: fan in 250, fan out 400
  check_uniform(drawn([](const auto& x, auto& rng) { init::kaiming_uniform_(x, rng); }), std::sqrt(6.0 / 250));
  check_uniform(drawn([](const auto& x, auto& rng) { init::kaiming_uniform_(x, rng, {.a = std::sqrt(5.0)}); }),
                1 / std::sqrt(250.0));
  check_normal(drawn([](const auto& x, auto& rng) { init::kaiming_normal_(x, rng, {.mode = init::FanMode::fan_out}); }),
               0, std::sqrt(2.0 / 400));
  check_normal(drawn([](const auto& x, auto& rng) {
                 init::kaiming_normal_(x, rng, {.nonlinearity = init::Nonlinearity::tanh});
               }),
               0, 5.0 / 3 / std::sqrt(250.0));
  // a convolution's weight [40, 25, 10, 10]: fan in 2500
  check_normal(drawn([](const auto& x, auto& rng) { init::kaiming_normal_(x, rng); }, {40, 25, 10, 10}), 0,
               std::sqrt(2.0 / 2500));
}

TEST_CASE("xavier follows both fans") {
  check_uniform(drawn([](const auto& x, auto& rng) { init::xavier_uniform_(x, rng, 2); }), 2 * std::sqrt(6.0 / 650));
  check_normal(drawn([](const auto& x, auto& rng) { init::xavier_normal_(x, rng); }), 0, std::sqrt(2.0 / 650));
}

TEST_CASE("trunc_normal stays within its bounds and keeps its shape") {
  // Standard deviation of a normal cut at +-2 and +-1: Johnson, Kotz and Balakrishnan, chapter 13.
  const Moments wide = drawn([](const auto& x, auto& rng) { init::trunc_normal_(x, rng); });
  CHECK(wide.std == Approx(0.8796).epsilon(0.01));
  CHECK(wide.low >= -2);
  CHECK(wide.high <= 2);
  const Moments narrow = drawn([](const auto& x, auto& rng) { init::trunc_normal_(x, rng, 0, 2.1, -1, 1); });
  CHECK(narrow.low >= -1);
  CHECK(narrow.high <= 1);
  CHECK(std::abs(narrow.mean) < 0.01);
  CHECK(narrow.std == Approx(0.5688).epsilon(0.01));
  const Moments edge = drawn([](const auto& x, auto& rng) { init::trunc_normal_(x, rng, 0, 1, 2, 2.5); });
  CHECK(edge.mean == Approx(2.2034).epsilon(0.002));
  const Moments gpt = drawn([](const auto& x, auto& rng) { init::trunc_normal_(x, rng, 0, 0.02); });
  check_normal(gpt, 0, 0.02);
}

TEST_CASE("orthogonal matrices are orthonormal in their shorter direction") {
  for (const Shape& shape : {Shape{30, 30}, Shape{40, 7}, Shape{7, 40}, Shape{6, 3, 2, 2}, Shape{1, 1}}) {
    INFO(to_string(shape));
    Rng rng(3);
    const Tensor x = empty(shape, DType::f64);
    init::orthogonal_(x, rng, 2);
    const Index rows = shape[0], cols = shape.numel() / rows;
    const Tensor m = reshape(x, {rows, cols});
    const Tensor product = rows < cols ? matmul(m, transpose(m)) : matmul(transpose(m), m);
    CHECK(max(abs(product - 4.0 * eye(std::min(rows, cols), DType::f64))).item() < 1e-12);
  }
}

TEST_CASE("orthogonal matrices are evenly spread: their diagonal has both signs") {
  Rng rng(3);
  int positive = 0;
  for (int i = 0; i < 100; ++i) {
    const Tensor x = empty({3, 3});
    init::orthogonal_(x, rng);
    positive += x.to_vector()[0] > 0;
  }
  CHECK(positive > 30);
  CHECK(positive < 70);
}

TEST_CASE("the same seed draws the same numbers, whatever the dtype's width and the threads") {
  const auto draw = [](int threads, DType dtype) {
    set_num_threads(threads);
    Rng rng(9);
    const Tensor x = empty({300, 200}, dtype);
    init::xavier_normal_(x, rng);
    init::orthogonal_(x, rng);
    init::kaiming_uniform_(x, rng);
    return x.to_vector();
  };
  const int before = num_threads();
  const auto one = draw(1, DType::f32);
  CHECK(draw(3, DType::f32) == one);
  CHECK(draw(1, DType::f32) == one);
  set_num_threads(before);
  const auto half = draw(before, DType::bf16);
  CHECK(half[17] == Approx(one[17]).epsilon(0.01));
}

TEST_CASE("constants, and parameters in place") {
  const nn::Parameter weight(empty({2, 2}));
  init::constant_(weight, 3);
  CHECK(weight.tensor().to_vector() == std::vector<double>{3, 3, 3, 3});
  init::zeros_(weight);
  CHECK(weight.tensor().to_vector() == std::vector<double>{0, 0, 0, 0});
  init::ones_(weight);
  CHECK(weight.tensor().to_vector() == std::vector<double>{1, 1, 1, 1});
  CHECK(weight.tensor().is_leaf());
}

TEST_CASE("gains are PyTorch's") {
  using init::Nonlinearity;
  CHECK(init::calculate_gain(Nonlinearity::linear) == 1);
  CHECK(init::calculate_gain(Nonlinearity::sigmoid) == 1);
  CHECK(init::calculate_gain(Nonlinearity::tanh) == Approx(1.6666667));
  CHECK(init::calculate_gain(Nonlinearity::relu) == Approx(1.4142136));
  CHECK(init::calculate_gain(Nonlinearity::leaky_relu) == Approx(1.4141428));
  CHECK(init::calculate_gain(Nonlinearity::leaky_relu, 0.2) == Approx(1.3867505));
  CHECK(init::calculate_gain(Nonlinearity::selu) == 0.75);
}

TEST_CASE("initializers name what they cannot do") {
  Rng rng(1);
  CHECK_THAT(error_of([&] { init::kaiming_uniform_(zeros({3}), rng); }),
             Contains("kaiming_uniform_") && Contains("f32 [3]"));
  CHECK_THAT(error_of([&] { init::xavier_normal_(zeros({3}), rng); }), Contains("two axes"));
  CHECK_THAT(error_of([&] { init::orthogonal_(zeros({3}), rng); }), Contains("two axes"));
  CHECK_THAT(error_of([&] { init::uniform_(zeros({3}, DType::i64), rng); }),
             Contains("floating") && Contains("i64 [3]"));
  CHECK_THAT(error_of([&] { init::uniform_(zeros({3}), rng, 1, 0); }), Contains("low 1 is above high 0"));
  CHECK_THAT(error_of([&] { init::normal_(zeros({3}), rng, 0, -1); }), Contains("std"));
  CHECK_THAT(error_of([&] { init::trunc_normal_(zeros({3}), rng, 0, 0); }), Contains("std > 0"));
  CHECK_THAT(error_of([&] { init::trunc_normal_(zeros({3}), rng, 9, 1, -2, 2); }), Contains("two std outside"));
  CHECK_THAT(error_of([&] { init::zeros_(Tensor()); }), Contains("empty tensor handle"));
  init::kaiming_uniform_(zeros({0, 4}), rng);
  init::orthogonal_(zeros({4, 0}), rng);
}

TEST_CASE("Linear starts within 1 / sqrt(in_features), as in PyTorch") {
  Rng rng(2);
  const nn::Linear layer(100, 900, rng);
  CHECK(layer.weight.tensor().shape() == Shape{900, 100});
  CHECK(layer.bias.tensor().shape() == Shape{900});
  check_uniform(moments(layer.weight), 0.1);
  const Moments bias = moments(layer.bias);
  CHECK(bias.low >= -0.1F);
  CHECK(bias.high <= 0.1F);
  CHECK(bias.std == Approx(0.1 / std::sqrt(3)).epsilon(0.05));

  Rng again(2);
  CHECK(nn::Linear(100, 900, again).weight.tensor().to_vector() == layer.weight.tensor().to_vector());
  CHECK(again == rng);
  CHECK(nn::Linear(100, 900, again).weight.tensor().to_vector() != layer.weight.tensor().to_vector());
}
