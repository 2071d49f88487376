// What every method of the catalogue keeps (optim/check.h), and what the base keeps for all of them.
#include "core/ops.h"
#include "core/random.h"
#include "optim/adam.h"
#include "optim/catalog.h"
#include "optim/check.h"
#include "optim/sgd.h"

#include <catch2/catch.hpp>

namespace gradus {
namespace {

using Catch::Matchers::Contains;

NamedTensors two_layers() {
  Rng rng(3);
  NamedTensors parameters = {
      {"fc1.weight", randn({4, 3}, rng)}, {"fc1.bias", randn({4}, rng)}, {"fc2.weight", randn({2, 4}, rng)}};
  for (auto& parameter : parameters) parameter.tensor.requires_grad_();
  return parameters;
}

void set_gradients(const NamedTensors& parameters, std::uint64_t seed) {
  Rng rng(seed);
  for (const auto& parameter : parameters) parameter.tensor.set_grad(randn(parameter.tensor.shape(), rng));
}

struct SignOptions {
  double lr = 1e-3, beta = 0.9, weight_decay = 0;
  static auto fields(auto& o) { return named("lr", o.lr, "beta", o.beta, "weight_decay", o.weight_decay); }
};
struct SignDescent : optim::Rule<SignDescent, SignOptions> {
  static constexpr std::string_view kName = "sign_descent";
  static constexpr std::array kSlots = {"momentum"};
  using Rule::Rule;
  void update(const SignOptions& o, optim::Item& item) {
    optim::fused(item, [&]<class T>(T) {
      const T lr = T(o.lr), beta = T(o.beta), decay = T(o.weight_decay);
      return [=](T& weight, T grad, T& momentum) {
        momentum = beta * momentum + (1 - beta) * grad;
        weight -= lr * (T(momentum > 0) - T(momentum < 0) + decay * weight);
      };
    });
  }
};

TEST_CASE("every method of the catalogue keeps the contract") {
  for (const optim::Method& method : optim::catalog()) {
    INFO(method.name);
    CHECK_NOTHROW(
        optim::check_optimizer_made_by([&](NamedTensors parameters) { return method.make(std::move(parameters), {}); },
                                       {.elementwise = method.elementwise}));
  }
}

TEST_CASE("methods keep the contract with their slots switched on") {
  CHECK_NOTHROW(optim::check_optimizer<optim::SGD>({}, {.momentum = 0.9, .weight_decay = 0.1, .nesterov = true}));
  CHECK_NOTHROW(optim::check_optimizer<optim::AdamW>({}, {.amsgrad = true}));
}

TEST_CASE("a user's own rule gets groups, checkpoints and the checks") {
  CHECK_NOTHROW(optim::check_optimizer<SignDescent>());
}

/// Moves weights by the gradient it reads, and changes it: what the check is for.
struct Vandal : optim::Rule<Vandal, SignOptions> {
  static constexpr std::string_view kName = "vandal";
  using Rule::Rule;
  void update(const SignOptions&, optim::Item& item) { Tensor(item.grad).fill_(0); }
};

TEST_CASE("check_optimizer finds a rule that writes gradients") {
  CHECK_THROWS_WITH(optim::check_optimizer<Vandal>(), Contains("changed the gradient of \"layer0.weight\""));
}

TEST_CASE("groups change options for some parameters and follow the defaults in the rest") {
  const NamedTensors parameters = two_layers();
  optim::SGD optimizer(parameters, {.lr = 0.5, .weight_decay = 0.1});
  optimizer.group([](const NamedTensor& p) { return p.tensor.rank() < 2; }, [](auto& o) { o.weight_decay = 0; });
  CHECK(optimizer.options_of(1).weight_decay == 0);
  CHECK(optimizer.options_of(0).weight_decay == 0.1);
  optimizer.defaults().lr = 0.25;
  CHECK(optimizer.options_of(1).lr == 0.25);

  for (const auto& p : parameters) p.tensor.set_grad(zeros_like(p.tensor));
  const auto before0 = parameters[0].tensor.to_vector(), before1 = parameters[1].tensor.to_vector();
  optimizer.step();
  CHECK(parameters[1].tensor.to_vector() == before1);
  CHECK(parameters[0].tensor.to_vector()[0] == Approx(before0[0] * (1 - 0.25 * 0.1)));

  CHECK_THROWS_WITH(optimizer.group([](auto& p) { return p.name == "fc1.bias"; }, [](auto&) {}),
                    Contains("\"fc1.bias\" is in a group already"));
  CHECK_THROWS_WITH(optimizer.group([](auto&) { return false; }, [](auto&) {}),
                    Contains("no parameter is in the new group"));
}

TEST_CASE("identical parameters in different groups with equal options evolve alike") {
  Rng rng(1);
  Tensor a = randn({3, 3}, rng), b = clone(a);
  a.requires_grad_();
  b.requires_grad_();
  optim::AdamW optimizer({{"a", a}, {"b", b}});
  optimizer.group([](auto& p) { return p.name == "b"; }, [](auto&) {});
  for (std::uint64_t t = 0; t < 4; ++t) {
    Rng noise(t);
    const Tensor grad = randn({3, 3}, noise);
    a.set_grad(clone(grad));
    b.set_grad(clone(grad));
    optimizer.step();
  }
  CHECK(a.to_vector() == b.to_vector());
}

TEST_CASE("a state fits only the same method, parameters and groups, and the report lists all differences") {
  const NamedTensors parameters = two_layers();
  optim::AdamW adam(parameters);
  set_gradients(parameters, 1);
  adam.step();
  const optim::State state = adam.state_dict();

  optim::SGD sgd(parameters);
  CHECK_THROWS_WITH(sgd.load_state_dict(state), Contains("saved by: adamw"));

  NamedTensors renamed = two_layers();
  renamed[0].name = "fc3.weight";
  optim::AdamW other(renamed);
  CHECK_THROWS_WITH(other.load_state_dict(state), Contains("missing: value \"steps.fc3.weight\"") &&
                                                      Contains("unexpected: tensor \"fc1.weight/exp_avg\"") &&
                                                      Contains("unexpected: tensor \"fc1.weight/exp_avg_sq\""));

  optim::AdamW grouped(parameters);
  grouped.group([](auto& p) { return p.tensor.rank() < 2; }, [](auto& o) { o.weight_decay = 0; });
  CHECK_THROWS_WITH(grouped.load_state_dict(state), Contains("missing: value \"group.1.parameters\""));
}

TEST_CASE("state holds copies: later steps do not change it") {
  const NamedTensors parameters = two_layers();
  optim::Adam adam(parameters);
  set_gradients(parameters, 1);
  adam.step();
  const optim::State state = adam.state_dict();
  const auto before = state.tensors[0].tensor.to_vector();
  adam.step();
  CHECK(state.tensors[0].tensor.to_vector() == before);
}

TEST_CASE("construction refuses what cannot be optimized") {
  const NamedTensors good = two_layers();
  CHECK_THROWS_WITH(optim::SGD(NamedTensors{}), Contains("no parameters"));
  CHECK_THROWS_WITH(optim::SGD(NamedTensors{good[0], good[0]}), Contains("two parameters are called \"fc1.weight\""));
  CHECK_THROWS_WITH(optim::SGD(NamedTensors{good[0], {"tied", good[0].tensor}}), Contains("listed twice"));
  CHECK_THROWS_WITH(optim::SGD(NamedTensors{{"counts", zeros({3}, DType::i64)}}), Contains("needs f32 or f64"));
}

TEST_CASE("impossible options are refused with the rule, all at once") {
  const NamedTensors p = two_layers();
  CHECK_THROWS_WITH(
      optim::make("adamw", p, {{"betas", "0.9,1"}, {"lr", "-1"}}),
      Contains("lr = -1, needs a finite number >= 0") && Contains("betas[1] = 1, needs 0 <= betas[1] < 1"));
  CHECK_THROWS_WITH(optim::make("sgd", p, {{"nesterov", "true"}}), Contains("needs momentum > 0"));
  CHECK_THROWS_WITH(optim::make("adam", p, {{"eps", "-1e-8"}}), Contains("eps"));
  CHECK_THROWS_WITH(optim::make("adam", p, {{"lr", "fast"}}), Contains("needs a number"));
  CHECK_THROWS_WITH(optim::make("adam", p, {{"wieght_decay", "0"}}),
                    Contains("valid: lr=0.001, betas=0.9,0.999") && Contains("did you mean weight_decay?"));
  CHECK_THROWS_WITH(optim::make("addam", p), Contains("valid: sgd") && Contains("did you mean adam?"));
  CHECK_THROWS_WITH(optim::parse_option("lr"), Contains("needs key=value"));
  optim::SGD sgd(p);
  CHECK_THROWS_AS(sgd.set("lr", -1), Error);
  sgd.set("lr", 0.5);
  CHECK(sgd.defaults().lr == 0.5);
}

TEST_CASE("non-finite gradients pass into the weights they belong to") {
  const NamedTensors parameters = two_layers();
  optim::AdamW adam(parameters);
  set_gradients(parameters, 1);
  Tensor grad = parameters[1].tensor.grad();
  grad.mutable_data<float>()[2] = std::numeric_limits<float>::quiet_NaN();
  adam.step();
  const auto bias = parameters[1].tensor.to_vector();
  CHECK(std::isnan(bias[2]));
  CHECK(std::isfinite(bias[1]));
  for (const double x : parameters[0].tensor.to_vector()) CHECK(std::isfinite(x));
}

TEST_CASE("step with a closure clears gradients, runs backward and returns the loss before the step") {
  Tensor w = tensor({1, 2}, DType::f64);
  w.requires_grad_();
  w.set_grad(full({2}, 1e6, DType::f64));
  optim::SGD sgd({{"w", w}}, {.lr = 0.1});
  const double loss = sgd.step([&] { return sum(square(w)); });
  CHECK(loss == Approx(5));
  CHECK(w.to_vector()[0] == Approx(0.8));
  CHECK_THROWS_WITH(sgd.step([&] { return square(w); }), Contains("needs the loss, a tensor of one element"));
}

TEST_CASE("lr scale multiplies every group") {
  Tensor a = tensor({1}), b = tensor({1});
  a.requires_grad_();
  b.requires_grad_();
  optim::SGD sgd({{"a", a}, {"b", b}}, {.lr = 0.1});
  sgd.group([](auto& p) { return p.name == "b"; }, [](auto& o) { o.lr *= 2; });
  sgd.set_lr_scale(0.5);
  a.set_grad(tensor({1}));
  b.set_grad(tensor({1}));
  sgd.step();
  CHECK(a.item() == Approx(0.95));
  CHECK(b.item() == Approx(0.9));
}

}  // namespace
}  // namespace gradus
