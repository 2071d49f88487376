#include "nn/module.h"

#include "core/ops.h"
#include "nn/activation.h"
#include "nn/dropout.h"
#include "nn/flatten.h"
#include "nn/linear.h"
#include "nn/sequential.h"
#include "nn/state.h"
#include "nn/summary.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace gradus;
using Catch::Matchers::Contains;
using gradus::testing::error_of;

namespace {

struct Mlp {
  nn::Linear hidden, out;
  Mlp(Index features, Index width, Index classes, Rng& rng) : hidden(features, width, rng), out(width, classes, rng) {}
  Tensor operator()(const Tensor& x) const { return out(gelu(hidden(x))); }
  static auto fields(auto& self) { return named("hidden", self.hidden, "out", self.out); }
};

struct ResidualStack {
  std::vector<nn::Linear> blocks;
  nn::Parameter scale;  // [width]
  ResidualStack(Index width, int depth, Rng& rng) : scale(ones({width})) {
    for (int i = 0; i < depth; ++i) blocks.emplace_back(width, width, rng);
  }
  Tensor operator()(Tensor x) const {  // x: [batch, width]
    for (const auto& block : blocks) x = x + scale * tanh(block(x));
    return x;
  }
  static auto fields(auto& self) { return named("blocks", self.blocks, "scale", self.scale); }
};

/// Everything that a field may be.
struct Zoo {
  int setting = 3;
  bool training = true;
  nn::Parameter weight{zeros({2})};
  nn::Buffer mean{zeros({3})};
  nn::Parameter absent;
  std::optional<nn::Linear> maybe, none;
  std::unique_ptr<nn::Dropout> owned;
  std::array<nn::Parameter, 2> pair{nn::Parameter(zeros({1})), nn::Parameter(zeros({1}))};
  nn::Sequential layers;

  explicit Zoo(Rng& rng) : maybe(nn::Linear(1, 1, rng)), owned(std::make_unique<nn::Dropout>(0.5, rng)) {
    layers.add(nn::ReLU{}).add(nn::Dropout(0.5, rng)).add(nn::Linear(2, 2, rng, {.bias = false}));
  }
  static auto fields(auto& self) {
    return named("setting", self.setting, "weight", self.weight, "mean", self.mean, "absent", self.absent, "maybe",
                 self.maybe, "none", self.none, "owned", self.owned, "pair", self.pair, "layers", self.layers);
  }
};

struct Tied {
  nn::Linear embed, out;
  explicit Tied(Rng& rng) : embed(4, 4, rng), out(4, 4, rng) { out.weight = nn::Parameter(embed.weight.tensor()); }
  Tensor operator()(const Tensor& x) const { return out(embed(x)); }
  static auto fields(auto& self) { return named("embed", self.embed, "out", self.out); }
};

std::vector<std::string> names(const NamedTensors& tensors) {
  std::vector<std::string> result;
  for (const auto& entry : tensors) result.push_back(entry.name);
  return result;
}

double train_step(const Mlp& model, const Tensor& x, const Tensor& y) {
  const Tensor loss = cross_entropy(model(x), y);
  backward(loss);
  return loss.item();
}

using Names = std::vector<std::string>;

static_assert(!std::is_copy_constructible_v<Mlp> && !std::is_copy_assignable_v<Mlp>);
static_assert(std::is_nothrow_move_constructible_v<Mlp> && std::is_nothrow_move_assignable_v<Mlp>);
static_assert(!std::is_copy_constructible_v<nn::Parameter> && !std::is_copy_constructible_v<nn::Buffer>);
static_assert(nn::Module<Mlp> && nn::Module<ResidualStack> && nn::Module<nn::Sequential> && nn::Module<nn::ReLU>);
static_assert(!nn::Module<int>);

}  // namespace

TEST_CASE("parameters are named by their path, in the order of the fields") {
  Rng rng(1);
  CHECK(names(nn::named_parameters(Mlp(4, 3, 2, rng))) ==
        Names{"hidden.weight", "hidden.bias", "out.weight", "out.bias"});
  CHECK(names(nn::named_parameters(ResidualStack(4, 2, rng))) ==
        Names{"blocks.0.weight", "blocks.0.bias", "blocks.1.weight", "blocks.1.bias", "scale"});
  CHECK(names(nn::named_parameters(nn::Sequential{nn::Linear(4, 3, rng), nn::ReLU{}, nn::Linear(3, 2, rng)})) ==
        Names{"0.weight", "0.bias", "2.weight", "2.bias"});
}

TEST_CASE("every kind of field is visited") {
  Rng rng(1);
  Zoo zoo(rng);
  CHECK(names(nn::named_parameters(zoo)) ==
        Names{"weight", "maybe.weight", "maybe.bias", "pair.0", "pair.1", "layers.2.weight"});
  CHECK(names(nn::state_dict(zoo)) ==
        Names{"weight", "mean", "maybe.weight", "maybe.bias", "pair.0", "pair.1", "layers.2.weight"});
  CHECK(nn::parameter_count(zoo) == 2 + 1 + 1 + 1 + 1 + 4);

  nn::eval(zoo);
  CHECK_FALSE(zoo.training);
  CHECK_FALSE(zoo.owned->training);
  const Tensor x = ones({1, 2});
  CHECK(zoo.layers(x).to_vector() == zoo.layers(x).to_vector());  // the Dropout inside is off, too
  nn::train(zoo);
  CHECK(zoo.training);
  CHECK(zoo.owned->training);
}

TEST_CASE("parameters carry their name into error messages") {
  Rng rng(1);
  const Mlp model(4, 3, 2, rng);
  const auto parameters = nn::named_parameters(model);
  CHECK(model.out.weight.tensor().name() == "out.weight");
  CHECK_THAT(error_of([&] { model(zeros({1, 5})); }), Contains("\"hidden.weight\""));
}

TEST_CASE("a parameter requires grad and is counted as one") {
  const nn::Parameter weight(ones({2}));
  CHECK(weight.tensor().requires_grad());
  CHECK(weight.tensor().tag() == MemTag::parameter);
  CHECK_FALSE(nn::Parameter().defined());
  const nn::Buffer mean(ones({2}));
  CHECK_FALSE(mean.tensor().requires_grad());
  mean.writable().fill_(3);
  CHECK(mean.tensor().to_vector() == std::vector<double>{3, 3});
}

TEST_CASE("what cannot be a parameter is refused") {
  const nn::Parameter weight(ones({2}));
  CHECK_THAT(error_of([&] { nn::Parameter(weight * 2.0); }), Contains("only leaves"));
  CHECK_THAT(error_of([] { nn::Parameter{Tensor()}; }), Contains("empty tensor handle"));
  CHECK_THAT(error_of([] { nn::Parameter(indices({1})); }), Contains("i64"));
  CHECK_THAT(error_of([] { nn::Parameter(transpose(ones({2, 3}))); }), Contains("not dense") && Contains("clone"));
  CHECK_THAT(error_of([&] { nn::Buffer(weight.tensor()); }), Contains("requires grad"));
  CHECK_THAT(error_of([] { nn::Buffer{Tensor()}; }), Contains("empty tensor handle"));
}

TEST_CASE("a model trains on after it was moved") {
  Rng rng(1);
  const Tensor x = randn({8, 4}, rng), y = indices({0, 1, 0, 1, 0, 1, 0, 1});
  Mlp model(4, 3, 2, rng);
  const NamedTensors parameters = nn::named_parameters(model);
  train_step(model, x, y);
  const auto grad_before = model.out.weight.tensor().grad().to_vector();

  Mlp moved = std::move(model);
  std::vector<Mlp> shelf;
  shelf.push_back(std::move(moved));
  const Mlp& now = shelf[0];
  CHECK(now.out.weight.tensor().is_same(parameters[2].tensor));
  CHECK(now.out.weight.tensor().grad().to_vector() == grad_before);
  CHECK(now.out.weight.tensor().name() == "out.weight");

  nn::zero_grad(now);
  CHECK_FALSE(parameters[2].tensor.grad().defined());
  const double before = train_step(now, x, y);
  const NoGrad no_grad;
  for (auto [name, tensor] : parameters) tensor.copy_(tensor - 0.5 * tensor.grad());
  CHECK(cross_entropy(now(x), y).item() < before);
}

TEST_CASE("tied weights are one parameter") {
  Rng rng(1);
  const Tied model(rng);
  CHECK(names(nn::named_parameters(model)) == Names{"embed.weight", "embed.bias", "out.bias"});
  CHECK(names(nn::state_dict(model)) == Names{"embed.weight", "embed.bias", "out.bias"});
  CHECK(nn::parameter_count(model) == 16 + 4 + 4);

  // The gradient is the sum of both uses.
  const Tensor x = randn({2, 4}, rng);
  backward(sum(model(x)));
  const Tensor a = model.embed.weight.tensor().detach().requires_grad_(), b = clone(a.detach()).requires_grad_();
  backward(sum(linear(linear(x, a, model.embed.bias), b, model.out.bias)));
  const Tensor difference = model.embed.weight.tensor().grad() - (a.grad() + b.grad());
  CHECK(max(abs(difference)).item() < 1e-6);
}

TEST_CASE("parameters alone go into grad") {
  Rng rng(1);
  const Mlp model(4, 3, 2, rng);
  const Tensors gradients = grad({sum(model(ones({1, 4})))}, nn::parameters(model));
  REQUIRE(gradients.size() == 4);
  CHECK(gradients[3].to_vector() == std::vector<double>{1, 1});
}

TEST_CASE("a model without parameters is a model") {
  const nn::Sequential model{nn::Flatten{}, [](const Tensor& x) { return square(x); }};
  CHECK(nn::named_parameters(model).empty());
  CHECK(model(full({2, 1, 3}, 2)).shape() == Shape{2, 3});
  CHECK(model(full({1, 1}, 3)).item() == 9);
  CHECK(nn::Sequential{}(scalar(2)).item() == 2);
}

TEST_CASE("summary lists names, shapes, counts and bytes") {
  Rng rng(1);
  CHECK(nn::summary(nn::Sequential{nn::Linear(784, 512, rng), nn::ReLU{}, nn::Linear(512, 10, rng)}) ==
        "name      shape       dtype    count      bytes\n"
        "0.weight  [512, 784]  f32    401,408  1,605,632\n"
        "0.bias    [512]       f32        512      2,048\n"
        "2.weight  [10, 512]   f32      5,120     20,480\n"
        "2.bias    [10]        f32         10         40\n"
        "total                        407,050  1,628,200\n");
  CHECK_THAT(nn::summary(Zoo(rng)),
             Contains("mean (buffer)") && Contains("total trained") && Contains("total of buffers"));
}
