// Steps of a fixed length or a fixed size per entry: normalized gradient descent and sign descent.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

/// What counts as one vector when its length is taken.
enum class Scope { tensor, global };
constexpr std::array<std::string_view, 2> names_of(Scope) { return {"tensor", "global"}; }

struct NormalizedGDOptions {
  double lr = 1e-2;
  double momentum = 0;      // m = momentum m + (1 - momentum) grad; the step has the direction of m
  double weight_decay = 0;  // decoupled: weights shrink by lr * weight_decay beforehand
  Scope scope = Scope::tensor;

  static auto fields(auto& o) {
    return named("lr", o.lr, "momentum", o.momentum, "weight_decay", o.weight_decay, "scope", o.scope);
  }
  void check(OptionCheck& is) const;
};

/// w -= lr m / ||m||, where a zero m makes no step. The scale of the loss does not matter
/// (Cutkosky and Mehta, "Momentum Improves Normalized SGD", ICML 2020, algorithm 1).
struct NormalizedGD : Rule<NormalizedGD, NormalizedGDOptions> {
  static constexpr std::string_view kName = "normalized_gd";
  using Rule::Rule;
  static void slots(const NormalizedGDOptions& o, SlotList& list) {
    if (o.momentum != 0) list.add("momentum_buffer");
  }
  bool before_step(std::span<Item> items);
  void update(const NormalizedGDOptions& o, Item& item);

 private:
  double global_norm_ = 0;  // of this step
};

struct SignSGDOptions {
  double lr = 1e-3;
  double momentum = 0;      // Signum: m = momentum m + (1 - momentum) grad
  double weight_decay = 0;  // decoupled

  static auto fields(auto& o) { return named("lr", o.lr, "momentum", o.momentum, "weight_decay", o.weight_decay); }
  void check(OptionCheck& is) const;
};

/// w -= lr sign(grad), or sign(m) with momentum (Signum); sign(0) = 0, so entries without a gradient stay
/// (Bernstein et al., "signSGD: Compressed Optimisation for Non-Convex Problems", ICML 2018, algorithms 1 and 2).
struct SignSGD : Rule<SignSGD, SignSGDOptions> {
  static constexpr std::string_view kName = "signsgd";
  using Rule::Rule;
  static void slots(const SignSGDOptions& o, SlotList& list) {
    if (o.momentum != 0) list.add("momentum_buffer");
  }
  void update(const SignSGDOptions& o, Item& item);
};

}  // namespace gradus::optim
