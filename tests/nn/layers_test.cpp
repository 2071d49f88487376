#include "core/autograd.h"
#include "core/ops.h"
#include "nn/activation.h"
#include "nn/dropout.h"
#include "nn/flatten.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "nn/state.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

using namespace gradus;
using Catch::Matchers::Contains;
using gradus::testing::error_of;

namespace {

const std::string kGolden = std::string(GRADUS_SOURCE_DIR) + "/tests/golden/safetensors/";

void check_close(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  CHECK(max(abs(a - b)).item() < 2e-6);
}

}  // namespace

TEST_CASE("a model with PyTorch's weights computes PyTorch's outputs and gradients") {
  // Both files were made by torch (tests/golden/safetensors/make.py).
  Rng rng(1);
  nn::Sequential model{nn::Linear(5, 8, rng), nn::GELU{}, nn::Linear(8, 6, rng, {.bias = false}), nn::Tanh{},
                       nn::Linear(6, 3, rng)};
  nn::load_weights(model, kGolden + "mlp.safetensors");
  const NamedTensors run = load_safetensors(kGolden + "mlp_run.safetensors");
  const auto expected = [&](const std::string& name) {
    for (const auto& entry : run)
      if (entry.name == name) return entry.tensor;
    return Tensor();
  };

  const Tensor logits = model(expected("x"));
  check_close(logits, expected("logits"));
  const Tensor loss = cross_entropy(logits, expected("labels"));
  check_close(loss, expected("loss"));
  backward(loss);
  for (const auto& [name, parameter] : nn::named_parameters(model)) {
    INFO(name);
    check_close(parameter.grad(), expected("grad." + name));
  }
}

TEST_CASE("activations are the functions of the same name") {
  const Tensor x = tensor({-2, -0.5, 0, 0.5, 2, 3}, {2, 3});
  const std::pair<nn::AnyModule, Tensor> cases[] = {
      {nn::ReLU{}, relu(x)},
      {nn::LeakyReLU{}, leaky_relu(x, 0.01)},
      {nn::LeakyReLU{.negative_slope = 0.2}, leaky_relu(x, 0.2)},
      {nn::GELU{}, gelu(x)},
      {nn::GELU{.approximation = Gelu::tanh}, gelu(x, Gelu::tanh)},
      {nn::SiLU{}, silu(x)},
      {nn::Tanh{}, tanh(x)},
      {nn::Sigmoid{}, sigmoid(x)},
      {nn::Softplus{}, softplus(x)},
      {nn::Softmax{}, softmax(x, -1)},
      {nn::Softmax{.dim = 0}, softmax(x, 0)},
      {nn::LogSoftmax{}, log_softmax(x, -1)},
      {nn::Identity{}, x},
  };
  for (const auto& [layer, expected] : cases) CHECK(layer(x).to_vector() == expected.to_vector());
}

TEST_CASE("Linear without bias, in f64, over further axes") {
  Rng rng(1);
  const nn::Linear layer(3, 2, rng, {.bias = false, .dtype = DType::f64});
  CHECK_FALSE(layer.bias.defined());
  CHECK(layer.weight.tensor().dtype() == DType::f64);
  const Tensor x = randn({4, 5, 3}, rng, DType::f64);
  const Tensor expected = matmul(x, transpose(layer.weight.tensor()));
  CHECK(max(abs(layer(x) - expected)).item() < 1e-15);
  CHECK_THAT(error_of([&] { nn::Linear(0, 2, rng); }), Contains("Linear") && Contains("0 and 2"));
}

TEST_CASE("Flatten keeps the batch") {
  CHECK(nn::Flatten{}(zeros({5, 28, 28})).shape() == Shape{5, 784});
  CHECK(nn::Flatten{.start_dim = 0}(zeros({5, 4})).shape() == Shape{20});
  CHECK(nn::Flatten{.start_dim = 1, .end_dim = 2}(zeros({5, 4, 3, 2})).shape() == Shape{5, 12, 2});
}

TEST_CASE("braces let the layers of Sequential draw in their order") {
  Rng a(1), b(1);
  const nn::Linear first(3, 3, a), second(3, 3, a);
  const nn::Sequential model{nn::Linear(3, 3, b), nn::Linear(3, 3, b)};
  const auto parameters = nn::named_parameters(model);
  CHECK(parameters[0].tensor.to_vector() == first.weight.tensor().to_vector());
  CHECK(parameters[2].tensor.to_vector() == second.weight.tensor().to_vector());
}

TEST_CASE("Sequential grows at run time and nests") {
  Rng rng(1);
  nn::Sequential inner;
  Index features = 8;
  for (const Index width : {6, 4}) {
    inner.add(nn::Linear(features, width, rng)).add(nn::ReLU{});
    features = width;
  }
  const nn::Sequential model{std::move(inner), nn::Linear(features, 2, rng)};
  CHECK(model(ones({3, 8})).shape() == Shape{3, 2});
  std::vector<std::string> names;
  for (const auto& entry : nn::named_parameters(model)) names.push_back(entry.name);
  CHECK(names == std::vector<std::string>{"0.0.weight", "0.0.bias", "0.2.weight", "0.2.bias", "1.weight", "1.bias"});
}

TEST_CASE("Dropout zeroes its share and keeps the mean; gradients pass where values pass") {
  Rng rng(1);
  const nn::Dropout layer(0.25, rng);
  Tensor x = ones({400, 250});
  x.requires_grad_();
  const Tensor y = layer(x);
  backward(sum(y));
  const auto values = y.to_vector();
  const auto zeroed = static_cast<double>(std::count(values.begin(), values.end(), 0.0));
  const auto scaled = static_cast<double>(std::count(values.begin(), values.end(), double{1 / 0.75F}));
  CHECK(zeroed + scaled == 100'000);
  CHECK(zeroed / 100'000 == Approx(0.25).epsilon(0.02));
  CHECK(x.grad().to_vector() == values);
}

TEST_CASE("Dropout has a stream of its own and is off in eval") {
  Rng rng(1), same(1);
  nn::Dropout a(0.5, rng), b(0.5, rng), c(0.5, same);
  const Tensor x = ones({100});
  const auto first = a(x).to_vector();
  CHECK(a(x).to_vector() != first);  // goes on
  CHECK(b(x).to_vector() != first);  // another layer, other numbers
  CHECK(c(x).to_vector() == first);  // the same seed, the same numbers
  nn::eval(a);
  CHECK(a(x).is_same(x));
  nn::train(a);
  CHECK_FALSE(a(x).is_same(x));
  CHECK(nn::Dropout(0, rng)(x).to_vector() == x.to_vector());
  CHECK_THAT(error_of([&] { nn::Dropout(1, rng); }), Contains("[0, 1), got 1"));
}

TEST_CASE("a model with Dropout is deterministic in eval") {
  Rng rng(1);
  nn::Sequential model{nn::Linear(4, 64, rng), nn::Dropout(0.5, rng), nn::Linear(64, 2, rng)};
  const Tensor x = ones({3, 4});
  CHECK(model(x).to_vector() != model(x).to_vector());
  nn::eval(model);
  CHECK(model(x).to_vector() == model(x).to_vector());
}
