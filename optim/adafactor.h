// Adafactor: the second moment of a matrix from its row and column means.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

struct AdafactorOptions {
  double lr = 1e-2;           // cap of the relative step min(lr, 1 / sqrt(t))
  double beta2_decay = -0.8;  // the second moment takes a share t^beta2_decay of the new square
  double eps1 = 0;            // guards the second moment; 0: the machine epsilon of the dtype, as in PyTorch
  double eps2 = 1e-3;         // least scale of the weights
  double d = 1;               // clips updates of a larger root mean square
  double weight_decay = 0;    // decoupled: weights shrink by lr * weight_decay beforehand

  static auto fields(auto& o) {
    return named("lr", o.lr, "beta2_decay", o.beta2_decay, "eps1", o.eps1, "eps2", o.eps2, "d", o.d, "weight_decay",
                 o.weight_decay);
  }
  void check(OptionCheck& is) const;
};

/// Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018, algorithms 4 and 5,
/// in PyTorch's form: the last two axes are factored (of a kernel, its height and width), without a first moment, and
/// steps are relative to the root mean square of the weights.
struct Adafactor : Rule<Adafactor, AdafactorOptions> {
  static constexpr std::string_view kName = "adafactor";
  using Rule::Rule;
  static void slots(const AdafactorOptions& o, SlotList& list);
  void update(const AdafactorOptions& o, Item& item);
};

}  // namespace gradus::optim
