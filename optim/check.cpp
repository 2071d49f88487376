#include "optim/check.h"

#include "core/autograd.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "core/random.h"

#include <cmath>
#include <cstring>

namespace gradus::optim::detail {
namespace {

using OptimizerPtr = std::unique_ptr<Optimizer>;

struct Problem {
  NamedTensors parameters;
  OptimizerPtr optimizer;
};

/// Random start values under the given shapes, the same in every call.
NamedTensors make_parameters(const std::vector<Shape>& shapes, DType dtype) {
  NamedTensors parameters;
  const memory::TagScope tag(MemTag::parameter);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    Rng rng = Rng(11).split(i);
    Tensor tensor = randn(shapes[i], rng, dtype);
    tensor.requires_grad_();
    parameters.push_back({"layer" + std::to_string(i) + ".weight", tensor});
  }
  return parameters;
}

std::vector<Shape> usual_shapes() {
  return {Shape{6, 4}, Shape{3, 7}, Shape{5}, Shape{5, 5}, Shape{4, 2, 3, 3}, Shape{}};
}

Problem make_problem(const Maker& make, const std::vector<Shape>& shapes, DType dtype = DType::f32) {
  Problem problem{make_parameters(shapes, dtype), nullptr};
  problem.optimizer = make.call(make.context, problem.parameters);
  return problem;
}

Tensor random_gradient(const Tensor& parameter, Index step, std::size_t i) {
  Rng rng = Rng(5).split(static_cast<std::uint64_t>(step)).split(i);
  return randn(parameter.shape(), rng, parameter.dtype()) * (1.0 + static_cast<double>(step % 3));
}

/// One step with gradients that depend on the step only, or, for a method that needs a closure, with a changing
/// quadratic loss around random centers. Parameter `skip` gets no gradient.
void drive(Problem& problem, Index step, std::size_t skip = ~std::size_t{0}, double scale = 1) {
  Optimizer& optimizer = *problem.optimizer;
  if (optimizer.needs_closure()) {
    optimizer.step([&] {
      Tensor loss;
      for (std::size_t i = 0; i < problem.parameters.size(); ++i) {
        if (i == skip) continue;
        const Tensor& w = problem.parameters[i].tensor;
        const Tensor term = sum(square(w - random_gradient(w, step, i))) * (0.5 * scale);
        loss = loss ? loss + to(term, loss.dtype()) : term;
      }
      return loss;
    });
    return;
  }
  const NoGrad no_grad;
  for (std::size_t i = 0; i < problem.parameters.size(); ++i) {
    const Tensor& w = problem.parameters[i].tensor;
    w.set_grad(i == skip ? Tensor() : random_gradient(w, step, i) * scale);
  }
  optimizer.step();
}

void drive_steps(Problem& problem, Index first, Index last) {
  for (Index step = first; step <= last; ++step) drive(problem, step);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return false;
  return a.numel() == 0 || std::memcmp(a.ptr<char>(), b.ptr<char>(), a.bytes()) == 0;
}

bool all_finite(const Tensor& x) {
  for (const double value : x.to_vector())
    if (!std::isfinite(value)) return false;
  return true;
}

Tensors copies(const NamedTensors& parameters) {
  Tensors result;
  for (const NamedTensor& parameter : parameters) result.push_back(clone(parameter.tensor.detach()));
  return result;
}

[[noreturn]] void broken(const Optimizer& optimizer, const std::string& what) {
  fail("check_optimizer: " + std::string(optimizer.name()) + " breaks the contract\n  " + what);
}

void same_weights(const Problem& problem, const Tensors& expected, const std::string& what) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!same_bits(problem.parameters[i].tensor, expected[i]))
      broken(*problem.optimizer, what + ": \"" + problem.parameters[i].name + "\" differs");
}

void check_gradients_only_read(const Maker& make) {
  Problem problem = make_problem(make, usual_shapes());
  if (problem.optimizer->needs_closure()) return;  // it makes its own gradients
  for (Index step = 1; step <= 3; ++step) {
    Tensors before;
    {
      const NoGrad no_grad;
      for (std::size_t i = 0; i < problem.parameters.size(); ++i) {
        const Tensor& w = problem.parameters[i].tensor;
        before.push_back(random_gradient(w, step, i));
        w.set_grad(clone(before.back()));
      }
    }
    problem.optimizer->step();
    for (std::size_t i = 0; i < before.size(); ++i)
      if (!same_bits(problem.parameters[i].tensor.grad(), before[i]))
        broken(*problem.optimizer, "step changed the gradient of \"" + problem.parameters[i].name + "\"");
  }
}

/// Under "parameter/..." in a state.
NamedTensors slots_of(const State& state, const std::string& parameter) {
  NamedTensors slots;
  for (const NamedTensor& entry : state.tensors)
    if (entry.name.starts_with(parameter + "/")) slots.push_back(entry);
  return slots;
}

void check_missing_gradient(const Maker& make) {
  Problem problem = make_problem(make, usual_shapes());
  drive_steps(problem, 1, 3);
  const Tensor weight = clone(problem.parameters[1].tensor.detach());
  const NamedTensors before = slots_of(problem.optimizer->state_dict(), problem.parameters[1].name);
  drive(problem, 4, /*skip=*/1);
  if (!same_bits(problem.parameters[1].tensor, weight))
    broken(*problem.optimizer, "a parameter without gradient moved");
  if (problem.optimizer->eval_weight(1)) return;  // an average goes on
  const NamedTensors after = slots_of(problem.optimizer->state_dict(), problem.parameters[1].name);
  for (std::size_t k = 0; k < before.size(); ++k)
    if (k >= after.size() || !same_bits(before[k].tensor, after[k].tensor))
      broken(*problem.optimizer, "slot \"" + before[k].name + "\" of a parameter without gradient changed");
}

void check_finite(const Maker& make) {
  for (const bool empty_too : {false, true}) {
    auto shapes = usual_shapes();
    if (empty_too) {
      shapes.push_back(Shape{0, 4});
      shapes.push_back(Shape{3, 0});
      shapes.push_back(Shape{0});
    }
    Problem problem = make_problem(make, shapes);
    for (Index step = 1; step <= 3; ++step) drive(problem, step, ~std::size_t{0}, empty_too ? 1 : 0);
    for (const NamedTensor& parameter : problem.parameters)
      if (!all_finite(parameter.tensor))
        broken(*problem.optimizer,
               std::string(empty_too ? "beside parameters without elements" : "after steps with zero gradients") +
                   " \"" + parameter.name + "\" is not finite");
  }
}

void check_resume(const Maker& make) {
  constexpr Index kBefore = 5, kAfter = 7;
  for (const Index extra : {Index{0}, Index{3}}) {  // another place within intervals and warm-ups
    Problem straight = make_problem(make, usual_shapes());
    drive_steps(straight, 1, kBefore + extra);
    const State state = straight.optimizer->state_dict();
    const Tensors weights = copies(straight.parameters);
    drive_steps(straight, kBefore + extra + 1, kBefore + extra + kAfter);

    Problem resumed = make_problem(make, usual_shapes());
    resumed.optimizer->set("lr", 0.01234);
    resumed.optimizer->set_lr_scale(0.5);
    drive_steps(resumed, 1, 2);  // what it remembers must go
    resumed.optimizer->load_state_dict(state);
    {
      const NoGrad no_grad;
      for (std::size_t i = 0; i < weights.size(); ++i) resumed.parameters[i].tensor.copy_(weights[i]);
    }
    drive_steps(resumed, kBefore + extra + 1, kBefore + extra + kAfter);
    same_weights(resumed, copies(straight.parameters), "a resumed run differs from a straight one");
    if (resumed.optimizer->steps() != straight.optimizer->steps())
      broken(*resumed.optimizer, "steps() is not restored");
  }
}

void check_strict_load(const Maker& make) {
  Problem problem = make_problem(make, usual_shapes());
  drive_steps(problem, 1, 2);
  const State good = problem.optimizer->state_dict();
  const auto refused = [&](const State& state, const std::string& what) {
    try {
      problem.optimizer->load_state_dict(state);
    } catch (const Error&) {
      const State now = problem.optimizer->state_dict();
      bool same = now.values == good.values && now.tensors.size() == good.tensors.size();
      for (std::size_t i = 0; same && i < now.tensors.size(); ++i)
        same = same_bits(now.tensors[i].tensor, good.tensors[i].tensor);
      if (!same) broken(*problem.optimizer, "a refused state (" + what + ") changed the optimizer");
      return;
    }
    broken(*problem.optimizer, "a state with " + what + " was accepted");
  };
  State bad = good;
  bad.tensors.push_back({"nobody/knows", zeros({2})});
  refused(bad, "an unknown tensor");
  bad = good;
  bad.values["nobody"] = "knows";
  refused(bad, "an unknown value");
  bad = good;
  bad.values.erase("steps");
  if (good.values.contains("steps")) refused(bad, "a missing value");
  if (good.tensors.empty()) return;
  bad = good;
  bad.tensors.erase(bad.tensors.begin());
  refused(bad, "a missing tensor");
  bad = good;
  bad.tensors[0].tensor = zeros({2, 2, 2, 2, 2});
  refused(bad, "a tensor of another shape");
}

void check_threads(const Maker& make, bool elementwise) {
  struct Restore {
    int threads = num_threads();
    ~Restore() { set_num_threads(threads); }
  } restore;
  Tensors first;
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    Problem problem = make_problem(make, {Shape{130, 70}, Shape{60, 90}, Shape{elementwise ? 70000 : 90}});
    drive_steps(problem, 1, 3);
    if (first.empty()) {
      first = copies(problem.parameters);
    } else {
      same_weights(problem, first, "the number of threads changes the bits");
    }
  }
}

void check_accounting(const Maker& make) {
  Problem problem = make_problem(make, usual_shapes());
  const auto before = memory::usage().live_of(MemTag::optimizer);
  drive_steps(problem, 1, 3);
  const auto used = memory::usage().live_of(MemTag::optimizer) - before;
  std::int64_t saved = 0;
  for (const NamedTensor& entry : problem.optimizer->state_dict().tensors)
    saved += static_cast<std::int64_t>(entry.tensor.bytes());
  if (used != saved)
    broken(*problem.optimizer, "its slots take " + std::to_string(used) +
                                   " bytes of optimizer memory, but the state has " + std::to_string(saved) +
                                   " bytes of tensors");
}

void check_split(const Maker& make) {
  // The same numbers as one tensor of 10 and as two of 4 and 6.
  Problem whole = make_problem(make, {Shape{10}});
  Problem parts = make_problem(make, {Shape{4}, Shape{6}});
  const NoGrad no_grad;
  const auto cut = [](const Tensor& x, std::size_t part) {
    return clone(slice(x, 0, part == 0 ? 0 : 4, part == 0 ? 4 : 10));
  };
  for (std::size_t part = 0; part < 2; ++part)
    parts.parameters[part].tensor.copy_(cut(whole.parameters[0].tensor.detach(), part));
  for (Index step = 1; step <= 6; ++step) {
    const Tensor grad = random_gradient(whole.parameters[0].tensor, step, 0);
    whole.parameters[0].tensor.set_grad(clone(grad));
    for (std::size_t part = 0; part < 2; ++part) parts.parameters[part].tensor.set_grad(cut(grad, part));
    whole.optimizer->step();
    parts.optimizer->step();
  }
  for (std::size_t part = 0; part < 2; ++part)
    if (!same_bits(parts.parameters[part].tensor, cut(whole.parameters[0].tensor.detach(), part)))
      broken(*whole.optimizer, "cutting a tensor in two changes its update, though the method is elementwise");
}

void check_eval_weights(const Maker& make) {
  Problem problem = make_problem(make, usual_shapes());
  Problem undisturbed = make_problem(make, usual_shapes());
  drive_steps(problem, 1, 4);
  drive_steps(undisturbed, 1, 4);
  const Tensors weights = copies(problem.parameters);
  {
    const EvalWeights evaluate(*problem.optimizer);
    bool refused = false;
    try {
      drive(problem, 5);
    } catch (const Error&) {
      refused = true;
    }
    if (!refused) broken(*problem.optimizer, "step was accepted while the weights to evaluate are in place");
  }
  same_weights(problem, weights, "eval_weights and train_weights do not return the weights");
  drive_steps(problem, 5, 8);
  drive_steps(undisturbed, 5, 8);
  same_weights(problem, copies(undisturbed.parameters), "an evaluation changed the training after it");
}

}  // namespace

void check_contract(const Maker& make, const CheckOptions& options) {
  check_gradients_only_read(make);
  check_missing_gradient(make);
  check_finite(make);
  check_resume(make);
  check_strict_load(make);
  check_threads(make, options.elementwise);
  check_accounting(make);
  if (options.elementwise) check_split(make);
  check_eval_weights(make);
}

}  // namespace gradus::optim::detail
