#include "optim/averaging.h"

#include <algorithm>

namespace gradus::optim {
namespace {

/// average += share (w - average); the first time a copy.
void mix(Tensors& slots, const Tensor& weight, double share) {
  if (slots.empty()) {
    slots.push_back(slot_copy(weight.detach()));
    return;
  }
  Tensor& average = slots[0];
  sweep(
      [&]<class T>(T) {
        const T s = T(share);
        return [=](T& a, T w) { a += s * (w - a); };
      },
      average, weight);
}

}  // namespace

void EMA::average() {
  const auto t = static_cast<double>(steps());
  const EMAOptions& o = own_options();
  const double decay = o.warmup ? std::min(o.decay, (1 + t) / (10 + t)) : o.decay;
  for (std::size_t i = 0; i < count(); ++i) mix(slots(i), weight(i), 1 - decay);
}

void EMA::do_step() {
  step_base();
  average();
}

double EMA::do_closure_step(const Closure& closure) {
  const double loss = closure_step_base(closure);
  average();
  return loss;
}

void SWA::average() {
  const SWAOptions& o = own_options();
  const Index past = steps() - 1 - o.start;
  if (past < 0 || past % o.period != 0) return;
  for (std::size_t i = 0; i < count(); ++i) mix(slots(i), weight(i), 1 / static_cast<double>(past / o.period + 1));
}

void SWA::do_step() {
  step_base();
  average();
}

double SWA::do_closure_step(const Closure& closure) {
  const double loss = closure_step_base(closure);
  average();
  return loss;
}

void Lookahead::remember() {
  for (std::size_t i = 0; i < count(); ++i)
    if (slots(i).empty()) slots(i).push_back(slot_copy(weight(i).detach()));
}

void Lookahead::look_back() {
  if (steps() % own_options().k != 0) return;
  const NoGrad no_grad;
  for (std::size_t i = 0; i < count(); ++i) {
    mix(slots(i), weight(i), own_options().alpha);
    weight(i).copy_(slot(i));
  }
}

void Lookahead::do_step() {
  remember();
  step_base();
  look_back();
}

double Lookahead::do_closure_step(const Closure& closure) {
  remember();
  const double loss = closure_step_base(closure);
  look_back();
  return loss;
}

void PrimalAveraging::update(const PrimalAveragingOptions& o, Item& item) {
  if (item.step == 1) item.slots[0].copy_(item.parameter);
  fused(item, [&]<class T>(T) {
    const T lr = T(o.lr), decay = T(o.weight_decay), share = T(1 / static_cast<double>(item.step));
    return [=](T& x, T grad, T& z) {
      z -= lr * (grad + decay * x);
      x += share * (z - x);
    };
  });
}

}  // namespace gradus::optim
