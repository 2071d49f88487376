#include "optim/optimizer.h"

#include "core/autograd.h"

namespace gradus::optim {
namespace {

constexpr std::string_view kFormat = "1";

}  // namespace

void Optimizer::check_training() const {
  GRADUS_CHECK(!evaluating_, std::string(name()) +
                                 ": step while the parameters hold the weights to evaluate\n"
                                 "  needs train_weights() after eval_weights()\n"
                                 "  hint: the scoped EvalWeights switches back by itself");
}

void Optimizer::step() {
  check_training();
  GRADUS_CHECK(!needs_closure(), std::string(name()) +
                                     ": step needs a closure, because it evaluates the loss more than once\n"
                                     "  hint: optimizer.step([&] { return cross_entropy(model(x), y); })");
  do_step();
}

double Optimizer::step(const Closure& closure) {
  check_training();
  return do_closure_step(closure);
}

double Optimizer::do_closure_step(const Closure& closure) {
  const double loss = evaluate(closure, 0);
  do_step();
  return loss;
}

double Optimizer::evaluate(const Closure& closure, int evaluation) const {
  zero_grad();
  const EnableGrad enable;
  const Tensor loss = closure(evaluation);
  GRADUS_CHECK(loss.defined() && loss.numel() == 1, std::string(name()) + ": the closure returned " +
                                                        (loss.defined() ? describe(loss) : "no tensor") +
                                                        "\n  needs the loss, a tensor of one element");
  backward(loss);
  return loss.item();
}

void Optimizer::zero_grad() const {
  for (const NamedTensor& parameter : parameters()) parameter.tensor.set_grad(Tensor());
}

void Optimizer::eval_weights() {
  if (evaluating_) return;
  const NoGrad no_grad;
  const auto count = parameters().size();
  Tensors weights(count);
  for (std::size_t i = 0; i < count; ++i) weights[i] = eval_weight(static_cast<Index>(i));
  train_weights_.assign(count, Tensor());
  for (std::size_t i = 0; i < count; ++i) {
    if (!weights[i]) continue;
    Tensor parameter = parameters()[i].tensor;
    train_weights_[i] = slot_copy(parameter);
    parameter.copy_(weights[i]);
  }
  evaluating_ = true;
}

void Optimizer::train_weights() {
  if (!evaluating_) return;
  const NoGrad no_grad;
  for (std::size_t i = 0; i < train_weights_.size(); ++i) {
    if (!train_weights_[i]) continue;
    Tensor parameter = parameters()[i].tensor;
    parameter.copy_(train_weights_[i]);
  }
  train_weights_.clear();
  evaluating_ = false;
}

void Optimizer::visit_all(StateVisitor& visitor) {
  visitor.expect("optimizer", name(), "load it into the method that saved it");
  visitor.expect("format", kFormat, "it comes from another version of the library");
  visit(visitor);

  bool evaluating = evaluating_;
  visitor.value("evaluating", evaluating);
  Tensors train = train_weights_;
  train.resize(parameters().size());
  for (std::size_t i = 0; i < train.size(); ++i) {
    const auto& [name, parameter] = parameters()[i];
    const std::string key = name + "/train_weight";
    if (visitor.saving() ? train[i].defined() : visitor.has_tensor(key))
      visitor.tensor(key, train[i], parameter.shape(), parameter.dtype());
    else
      train[i] = Tensor();
  }
  if (!visitor.loading()) return;
  evaluating_ = evaluating;
  train_weights_ = evaluating ? std::move(train) : Tensors();
}

State Optimizer::state_dict() {
  State state;
  StateVisitor save(StateVisitor::Mode::save, state);
  visit_all(save);
  return state;
}

void Optimizer::load_state_dict(const State& state) {
  State copy = state;  // shares the tensors
  // Another method's state fits nowhere: say only that.
  if (const auto saved = copy.values.find("optimizer"); saved != copy.values.end())
    GRADUS_CHECK(saved->second == name(), std::string(name()) + ": this is the state of another method\n  saved by: " +
                                              saved->second + "\n  needs a state saved by " + std::string(name()));
  StateVisitor check(StateVisitor::Mode::check, copy);
  visit_all(check);
  check.finish(name());
  StateVisitor load(StateVisitor::Mode::load, copy);
  visit_all(load);
}

}  // namespace gradus::optim
