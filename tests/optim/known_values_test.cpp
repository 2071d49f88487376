// Published and hand-computed numbers of single methods: first steps, singular values, counterexamples.
#include "core/linalg.h"
#include "core/ops.h"
#include "core/random.h"
#include "optim/adafactor.h"
#include "optim/averaging.h"
#include "optim/catalog.h"
#include "optim/lbfgs.h"
#include "optim/low_rank.h"
#include "optim/modular_norm.h"
#include "optim/muon.h"
#include "optim/orthogonalize.h"
#include "optim/sam.h"
#include "optim/shampoo.h"
#include "optim/steepest_descent.h"
#include "optim/vector.h"

#include <catch2/catch.hpp>

#include <cmath>

namespace gradus {
namespace {

using Catch::Matchers::Contains;
using Values = std::vector<double>;

void close(const Tensor& x, const Values& expected, double tolerance = 1e-8) {
  const Values got = x.to_vector();
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO("entry " << i);
    CHECK(got[i] == Approx(expected[i]).epsilon(tolerance).margin(tolerance));
  }
}

Tensor leaf(const Values& values, const Shape& shape) {
  Tensor x = tensor(values, shape, DType::f64);
  x.requires_grad_();
  return x;
}

/// Runs a method of the catalogue on prescribed gradients and returns the weights after each step.
std::vector<Values> run(const std::string& method, const optim::OptionList& options, const Values& start,
                        const Shape& shape, const std::vector<Values>& gradients) {
  const Tensor w = leaf(start, shape);
  const auto optimizer = optim::make(method, {{"w", w}}, options);
  std::vector<Values> path;
  for (const Values& gradient : gradients) {
    w.set_grad(tensor(gradient, shape, DType::f64));
    optimizer->step();
    path.push_back(w.to_vector());
  }
  return path;
}

const Values kMatrix = {1, 2, 3, 4};

TEST_CASE("the scalar sequence 1, 0, -2 shows first steps, zero gradients and signs") {
  const auto last = [](const std::string& method, optim::OptionList options) {
    options.emplace_back("lr", "0.1");
    const auto path = run(method, options, {1}, {1}, {{1}, {0}, {-2}});
    return Values{path[0][0], path[1][0], path[2][0]};
  };
  const auto check = [](const Values& got, const Values& expected) {
    for (std::size_t i = 0; i < 3; ++i) CHECK(got[i] == Approx(expected[i]).epsilon(1e-9).margin(2e-9));
  };
  check(last("sgd", {}), {.9, .9, 1.1});
  check(last("sgd", {{"momentum", "0.9"}, {"dampening", "0.9"}}), {.9, .81, .749});
  check(last("sgd", {{"momentum", "0.9"}, {"nesterov", "true"}}), {.81, .729, 1.0361});
  check(last("adam", {{"weight_decay", "0.1"}}), {.9000000009, .8271464231, .8544493442});
  check(last("adamw", {{"weight_decay", "0.1"}}), {.8900000010, .8140941765, .8399566815});
  check(last("adam", {{"betas", "0.9,0.5"}, {"amsgrad", "true"}}), {.9, .8419857710, .8701632559});
  check(last("nadam", {}), {.8943548232, .8880477217, .9860668583});
  check(last("radam", {}), {.9, .8526315789, .8965430181});
  check(last("lion", {{"weight_decay", "0.1"}}), {.89, .7811, .873289});
  check(last("rmsprop", {{"centered", "true"}}), {-.0050377142, -.0050377142, .8921121078});
  check(last("adagrad", {}), {.9, .9, .9894427191});
}

TEST_CASE("AMSGrad solves the problem on which Adam fails") {
  // Reddi, Kale, Kumar, section 3: on [-1, 1] the gradient is 3, -1, -1, ... and the best point is -1.
  const auto end = [](bool amsgrad) {
    Tensor x = leaf({0}, {1});
    const auto adam = optim::make(
        "adam", {{"x", x}}, {{"betas", "0,0.1"}, {"eps", "0"}, {"lr", "0.5"}, {"amsgrad", amsgrad ? "true" : "false"}});
    for (Index t = 1; t <= 3000; ++t) {
      adam->set_lr_scale(1 / std::sqrt(static_cast<double>(t)));
      x.set_grad(tensor({t % 3 == 1 ? 3.0 : -1.0}, {1}, DType::f64));
      adam->step();
      const NoGrad no_grad;
      x.copy_(clamp(x, -1, 1));
    }
    return x.item();
  };
  CHECK(end(false) > 0.99);
  CHECK(end(true) < -0.95);
}

TEST_CASE("Newton-Schulz gives the published singular values") {
  using optim::Orthogonalization;
  close(optim::orthogonalize(tensor({3, 0, 0, 4}, {2, 2}, DType::f64), Orthogonalization::jordan, 5),
        {.7228761296, 0, 0, 1.1192039042}, 1e-9);
  const Tensor g = tensor(kMatrix, {2, 2}, DType::f64);
  close(optim::orthogonalize(g, Orthogonalization::jordan, 5), {-.68066099, .8255396104, .7412954178, .2594400269});
  close(optim::orthogonalize(g, Orthogonalization::you, 6), {-.5117807575, .8548506279, .8553640912, .514348074});
  close(optim::orthogonalize(g, Orthogonalization::polar_express, 5),
        {-.4926610992, .8995507599, .920945922, .5996369099});
  close(optim::orthogonalize(g, Orthogonalization::svd, 1), {-.5144957554, .8574929257, .8574929257, .5144957554});
  close(linalg::svd(optim::orthogonalize(g, Orthogonalization::cubic, 5)).s, {1, .4751429072}, 1e-6);

  const Tensor tall = tensor({1, 2, 3, 4, 5, 6}, {3, 2}, DType::f64);
  const Tensor of_tall = optim::orthogonalize(tall, Orthogonalization::jordan, 5);
  close(of_tall, {-.4675185654, .5734733071, .0724322875, .4094526223, .6123831404, .2454319375});
  close(optim::orthogonalize(transpose(tall), Orthogonalization::jordan, 5), transpose(of_tall).to_vector(), 1e-12);
  close(optim::orthogonalize(zeros({2, 3}, DType::f64), Orthogonalization::jordan, 5), Values(6, 0));

  // Singular values between 0.01 and 1 end where the papers say.
  Rng rng(4);
  const Tensor wide = randn({24, 60}, rng, DType::f64);
  for (const auto& [method, steps, low, high] : {std::tuple{Orthogonalization::jordan, 5, .68, 1.135},
                                                 {Orthogonalization::you, 6, .995, 1.0},
                                                 {Orthogonalization::polar_express, 6, .985, 1.015}}) {
    const Values s = linalg::svd(optim::orthogonalize(wide, method, steps)).s.to_vector();
    CHECK(s.front() <= high);
    CHECK(s.back() >= low);
  }
  // f32 follows f64 closely; codes that iterate in bf16 are off by about 1e-2.
  const Tensor narrow = to(optim::orthogonalize(to(wide, DType::f32), Orthogonalization::jordan, 5), DType::f64);
  CHECK(optim::abs_max(narrow - optim::orthogonalize(wide, Orthogonalization::jordan, 5)) < 1e-4);
}

TEST_CASE("Muon takes the published steps and flattens kernels before it scales") {
  // Gradient W - T with T = [[1, 2], [3, 4]].
  const Tensor w = leaf({0, 0, 0, 0}, {2, 2});
  optim::Muon muon({{"w", w}}, {.lr = .1, .weight_decay = .1, .scaling = optim::MuonScaling::none});
  const Tensor target = tensor(kMatrix, {2, 2}, DType::f64);
  w.set_grad(w.detach() - target);
  muon.step();
  close(w, {-.0680660896, .0825539637, .0741295495, .0259440183}, 1e-7);
  w.set_grad(w.detach() - target);
  muon.step();
  close(w, {-.1110887925, .1470690786, .1366839216, .0591630076}, 1e-7);

  CHECK(optim::muon_scale(optim::MuonScaling::original, 8, 4) == Approx(std::sqrt(2)));
  const Tensor kernel = leaf(Values(32, 0), {8, 1, 2, 2});
  Rng rng(2);
  const Tensor g = randn({8, 1, 2, 2}, rng, DType::f64);
  optim::Muon on_kernel({{"k", kernel}}, {.lr = 1, .momentum = 0, .nesterov = false});
  kernel.set_grad(clone(g));
  on_kernel.step();
  const Tensor expected =
      optim::orthogonalize(reshape(g, {8, 4}), optim::Orthogonalization::jordan, 5) * -std::sqrt(2.0);
  close(kernel, expected.to_vector(), 1e-12);
}

TEST_CASE("methods for matrices leave embeddings, heads and vectors to AdamW") {
  const auto p = [](const char* name, const Shape& shape) {
    return NamedTensor{name, leaf(Values(static_cast<std::size_t>(shape.numel()), 1), shape)};
  };
  const NamedTensors model = {p("embed.weight", {5, 4}), p("fc1.weight", {4, 4}), p("fc1.bias", {4}),
                              p("fc2.weight", {4, 4}), p("fc3.weight", {3, 4})};
  const auto muon = optim::with_adamw<optim::Muon>(model, {}, optim::auxiliary_adamw(), optim::HiddenWeights(model));
  CHECK(muon->describe() == "muon: fc1.weight, fc2.weight; adamw: embed.weight, fc1.bias, fc3.weight");
  // A named head is the head; the last matrix is then hidden.
  const NamedTensors named = {p("head.weight", {3, 4}), p("fc.weight", {4, 4})};
  const auto other = optim::with_adamw<optim::Muon>(named, {}, optim::auxiliary_adamw(), optim::HiddenWeights(named));
  CHECK(other->describe() == "muon: fc.weight; adamw: head.weight");
  muon->set("aux.lr", 0.5);
  CHECK_THROWS_WITH(muon->set("other.lr", 1), Contains("no part has the prefix \"other\""));
  CHECK_THROWS_WITH(optim::Muon({p("bias", {4})}), Contains("needs a matrix"));
}

TEST_CASE("inverse roots are roots, also of matrices that are not diagonal") {
  const Tensor a = tensor({2, 1, 1, 3}, {2, 2}, DType::f64);
  close(linalg::symmetric_power(a, -0.5), {.7608452130, -.1453085056, -.1453085056, .6155367074}, 1e-9);
  for (const int p : {1, 2, 4, 8}) {
    const Tensor by_newton = linalg::inverse_root_newton(a, p, 0, 1e-12);
    close(by_newton, linalg::symmetric_power(a, -1.0 / p).to_vector(), 1e-9);
    Tensor product = a;
    for (int i = 0; i < p; ++i) product = matmul(product, by_newton);
    close(product, {1, 0, 0, 1}, 1e-8);
  }
  close(linalg::inverse_root_newton(tensor({1, 0, 0, 1e-6}, {2, 2}, DType::f64), 4, 0, 1e-12),
        {1, 0, 0, std::pow(1e-6, -.25)}, 1e-6);
  CHECK_THROWS_WITH(linalg::eigh(tensor({1, NAN, 0, 1}, {2, 2}, DType::f64)), Contains("needs finite values"));
}

TEST_CASE("Shampoo and SOAP take the published steps") {
  const auto path = run("shampoo", {{"lr", "0.1"}, {"eps", "1"}, {"beta1", "0"}}, {0, 0, 0, 0}, {2, 2},
                        {{1, 2, 3, 4}, {.5, 1.5, 1, 2}});
  close(tensor(path[0], {4}, DType::f64), {.0027673677, -.0506336869, -.0631849798, -.0655238324}, 1e-7);
  close(tensor(path[1], {4}, DType::f64), {.0063840174, -.0913729274, -.0773978921, -.0948784743}, 1e-7);

  const auto soap =
      run("soap", {{"lr", "0.1"}, {"betas", "0.9,0.95"}, {"weight_decay", "0.1"}, {"precondition_frequency", "2"}},
          {0, 0, 0, 0}, {2, 2}, {{1, 2, 3, 4}, {2, -1, .5, 1}, {-1, 1, 2, 3}, {1, -1, 0, 2}, {.5, 2, -1, 1}});
  close(tensor(soap[0], {4}, DType::f64), {0, 0, 0, 0});
  close(tensor(soap[1], {4}, DType::f64), {-.077662, .11649296, -.11649297, -.07766198}, 1e-6);
  close(tensor(soap[3], {4}, DType::f64), {-.07521826, .20707194, -.19936327, -.29126585}, 1e-6);
  close(tensor(soap[4], {4}, DType::f64), {-.1030933, .1861318, -.18577587, -.39355135}, 1e-6);
}

TEST_CASE("the state of low-rank methods has the size of the papers' formulas") {
  constexpr Index m = 1024, n = 4096, r = 256;
  const auto floats = [](std::size_t bytes) { return static_cast<Index>(bytes / 4); };
  CHECK(floats(optim::AdamW::slot_bytes({}, {m, n})) == 2 * m * n);
  CHECK(floats(optim::GaLore::slot_bytes({.rank = r}, {m, n})) == 2 * n * r + m * r);
  CHECK(floats(optim::Fira::slot_bytes({.rank = r}, {m, n})) == 2 * n * r + m * r + 1);
  CHECK(floats(optim::APOLLO::slot_bytes({.rank = r}, {m, n})) == 2 * n * r + 2);
  CHECK(floats(optim::APOLLO::slot_bytes(optim::apollo_mini(), {m, n})) == 2 * n + 2);
  CHECK(floats(optim::APOLLO::slot_bytes({}, {m, n})) == 2 * n * r + 2);  // rank 0: a quarter
  CHECK(floats(optim::Adafactor::slot_bytes({}, {m, n})) == m + n);
  CHECK(floats(optim::Muon::slot_bytes({}, {m, n})) == m * n);
  CHECK(floats(optim::SOAP::slot_bytes({}, {m, n})) == 2 * (m * m + n * n) + 2 * m * n);
  CHECK_THROWS_WITH(optim::GaLore({{"w", leaf(kMatrix, {2, 2})}}, {.rank = 3}), Contains("needs rank <= 2"));
}

TEST_CASE("SAM perturbs by the published amounts for every norm") {
  const auto perturbation = [](const optim::SAMOptions& options, const Values& at) {
    const Tensor w = leaf(at, {2});
    w.set_grad(tensor({at[0], 10 * at[1]}, {2}, DType::f64));
    return optim::sam_perturbation({{"weight", w}}, options)[0];
  };
  const double inf = std::numeric_limits<double>::infinity();
  close(perturbation({}, {1, 1}), {.004975186, .0497518595});
  close(perturbation({.p = 1}, {1, 1}), {0, .05});
  close(perturbation({.p = inf}, {1, 1}), {.05, .05});
  close(perturbation({.p = 4}, {1, 1}), {.0229461902, .0494360682});
  using optim::SamScale;
  close(perturbation({.rho = .5, .adaptive = SamScale::weight}, {1, 1}), {.0502493781, .5024937811});
  close(perturbation({.rho = .5, .adaptive = SamScale::weight}, {2, .5}), {.8486612518, .1365911683});
  close(perturbation({.rho = .5, .adaptive = SamScale::absolute}, {2, .5}), {.847998304, .132499735});
  close(perturbation({}, {0, 0}), {0, 0});
  const auto p = NamedTensors{{"w", leaf({1}, {1})}};
  CHECK_THROWS_WITH(optim::make("sam", p, {{"p", "0.5"}}), Contains("p needs to be at least 1"));
}

TEST_CASE("SAM tells its closure which evaluation it is, and needs one") {
  const Tensor w = leaf({1, 1}, {2});
  const auto sam = optim::make("sam", {{"w", w}}, {{"lr", "0.05"}});
  std::vector<int> evaluations;
  const Tensor curvature = tensor({1, 10}, {2}, DType::f64);
  sam->step([&](int evaluation) {
    evaluations.push_back(evaluation);
    return sum(curvature * square(w)) * 0.5;
  });
  CHECK(evaluations == std::vector<int>{0, 1});
  close(w, {.9497512407, .4751240702});
  CHECK_THROWS_WITH(sam->step(), Contains("needs a closure"));
}

TEST_CASE("modular duality maps and composes as published") {
  using optim::ModularNorm;
  const Tensor g1 = tensor({1, 2, 3, 4, 5, 6}, {3, 2}, DType::f64), g2 = tensor({1, -2, 2}, {1, 3}, DType::f64);
  const Tensor d1 = optim::dualize(optim::AtomNorm::linear, g1), d2 = optim::dualize(optim::AtomNorm::linear, g2);
  close(d1, {-.674838396, .8913995397, .1667594474, .6871617617, 1.0083572909, .4829239837});
  close(d2, {.1924500897, -.3849001795, .3849001795});
  close(optim::dualize(optim::AtomNorm::embed, tensor({3, 4, 0, 0, 1, 0}, {3, 2}, DType::f64)),
        {.8485281374, 1.1313708499, 0, 0, 1.4142135624, 0});

  const ModularNorm both = ModularNorm::linear("second") * ModularNorm::bond() * ModularNorm::linear("first");
  const Tensor u1 = d1 * .5, u2 = d2 * .5;
  CHECK(both.norm({{"first", u1}, {"second", u2}}) == Approx(1));
  CHECK(optim::dot(u1, g1) + optim::dot(u2, g2) == Approx(7.014133618));

  const ModularNorm weighted = ModularNorm::linear("second", 3) * ModularNorm::linear("first", 1);
  CHECK(weighted.atoms()[0].coefficient == Approx(.75));
  CHECK(weighted.atoms()[1].coefficient == Approx(.25));
  // A bond that doubles changes halves what may move before it; without mass nothing moves.
  CHECK((ModularNorm::bond(2) * ModularNorm::linear("w")).atoms()[0].coefficient == Approx(.5));
  CHECK((ModularNorm::linear("a") * ModularNorm::linear("b", 0)).atoms()[1].coefficient == 0);
  // Associative.
  const auto a = ModularNorm::linear("a", 2), b = ModularNorm::linear("b", 5), c = ModularNorm::linear("c");
  const auto left = (a * b) * c, right = a * (b * c);
  for (std::size_t i = 0; i < 3; ++i) CHECK(left.atoms()[i].coefficient == Approx(right.atoms()[i].coefficient));
  CHECK(ModularNorm::residual(.25, ModularNorm::linear("w")).sensitivity() == Approx(1));
  CHECK((a + b).sensitivity() == Approx(2));
}

TEST_CASE("sign descent, Muon and Shampoo without accumulation are steepest descents") {
  Rng rng(8);
  std::vector<Values> gradients;
  for (int t = 0; t < 4; ++t) gradients.push_back(randn({12}, rng, DType::f64).to_vector());
  const Values start(12, 0.5);
  const auto same = [&](const std::vector<Values>& a, const std::vector<Values>& b, double tolerance) {
    for (std::size_t t = 0; t < a.size(); ++t) close(tensor(a[t], {12}, DType::f64), b[t], tolerance);
  };
  const auto descent = [&](optim::OptionList options) {
    options.emplace_back("lr", "0.1");
    return run("steepest_descent", options, start, {3, 4}, gradients);
  };
  same(descent({{"norm", "linf"}}), run("signsgd", {{"lr", "0.1"}}, start, {3, 4}, gradients), 0);
  same(descent({{"norm", "l2"}}), run("normalized_gd", {{"lr", "0.1"}}, start, {3, 4}, gradients), 1e-12);
  same(
      descent({{"norm", "spectral"}, {"orthogonalization", "jordan"}, {"ns_steps", "5"}}),
      run("muon", {{"lr", "0.1"}, {"momentum", "0"}, {"nesterov", "false"}, {"scaling", "none"}, {"takes", "matrices"}},
          start, {3, 4}, gradients),
      1e-12);
  same(descent({{"norm", "spectral"}}),
       run("shampoo", {{"lr", "0.1"}, {"beta1", "0"}, {"beta2", "0"}, {"eps", "1e-14"}}, start, {3, 4}, gradients),
       1e-5);
}

double rosenbrock_after(optim::Optimizer& optimizer, const Tensor& w, int steps) {
  const auto loss = [&] {
    const Tensor x = select(w, 0, 0), y = select(w, 0, 1);
    return square(1.0 - x) + 100.0 * square(y - square(x));
  };
  for (int i = 0; i < steps; ++i) optimizer.step(loss);
  const NoGrad no_grad;
  return loss().item();
}

TEST_CASE("L-BFGS walks down the Rosenbrock valley as published") {
  const Tensor w = leaf({-1.2, 1}, {2});
  optim::LBFGS lbfgs({{"w", w}}, {.max_iter = 1, .max_eval = 25, .line_search = optim::LineSearch::strong_wolfe});
  rosenbrock_after(lbfgs, w, 1);
  close(w, {-1.02453193, 1.07161962}, 1e-7);
  rosenbrock_after(lbfgs, w, 1);
  close(w, {-1.028456575, 1.068187456}, 1e-7);
  rosenbrock_after(lbfgs, w, 8);
  close(w, {-.6657084571, .4139830832}, 1e-6);
  CHECK(rosenbrock_after(lbfgs, w, 27) < 1e-8);
}

TEST_CASE("methods reach the bottom of a bowl and of a valley") {
  const Tensor curvature = tensor({1, 10}, {2}, DType::f64);
  for (const auto& [name, lr] : std::vector<std::pair<std::string, std::string>>{{"sgd", "0.1"},
                                                                                 {"adam", "0.1"},
                                                                                 {"adamw", "0.1"},
                                                                                 {"nadam", "0.1"},
                                                                                 {"radam", "0.1"},
                                                                                 {"adagrad", "0.5"},
                                                                                 {"rmsprop", "0.01"},
                                                                                 {"adamax", "0.1"},
                                                                                 {"lbfgs", "1"},
                                                                                 {"schedule_free_sgd", "0.1"},
                                                                                 {"schedule_free_adamw", "0.1"},
                                                                                 {"prodigy", "1"},
                                                                                 {"sam", "0.05"},
                                                                                 {"lookahead", "0.1"},

                                                                                 {"shampoo", "0.3"},
                                                                                 {"soap", "0.1"}}) {
    INFO(name);
    const Tensor w = leaf({1, 1}, {2});
    const auto optimizer = optim::make(name, {{"w", w}}, {{"lr", lr}});
    for (int t = 0; t < 600; ++t) optimizer->step([&] { return sum(curvature * square(w)) * 0.5; });
    const optim::EvalWeights published(*optimizer);
    CHECK(std::abs(w.to_vector()[0]) < 0.06);
    CHECK(std::abs(w.to_vector()[1]) < 0.06);
  }
  const Tensor w = leaf({-1.2, 1}, {2});
  const auto adam = optim::make("adam", {{"w", w}}, {{"lr", "0.05"}});
  CHECK(rosenbrock_after(*adam, w, 2000) < 1e-2);
}

TEST_CASE("logistic regression is learned") {
  Rng rng(12);
  const Tensor x = randn({64, 5}, rng, DType::f64);
  const Tensor y = greater(sum(x, {1}), zeros({64}, DType::f64));
  for (const std::string name : {"sgd", "adamw", "muon", "lion", "apollo", "steepest_descent", "signsgd"}) {
    INFO(name);
    const Tensor w1 = leaf(randn({20}, rng, DType::f64).to_vector(), {4, 5}), w2 = leaf({.5, -.5, .5, -.5}, {1, 4});
    const auto optimizer = optim::make(name, {{"hidden.weight", w1}, {"out.weight", w2}}, {{"lr", "0.05"}});
    double first = 0, last = 0;
    for (int t = 0; t < 150; ++t) {
      last = optimizer->step(
          [&] { return bce_with_logits(reshape(matmul(tanh(matmul(x, transpose(w1))), transpose(w2)), {64}), y); });
      if (t == 0) first = last;
    }
    CHECK(last < 0.6 * first);
  }
}

}  // namespace
}  // namespace gradus
