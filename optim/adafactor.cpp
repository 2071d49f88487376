#include "optim/adafactor.h"

#include "core/ops.h"
#include "optim/vector.h"

#include <algorithm>
#include <limits>

namespace gradus::optim {
namespace {

double rms(const Tensor& x) { return std::sqrt(squared_norm(x) / std::max(1.0, static_cast<double>(x.numel()))); }

}  // namespace

void AdafactorOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.that(beta2_decay <= 0, "beta2_decay needs to be at most 0");
  is.at_least("eps1", eps1, 0);
  is.at_least("eps2", eps2, 0);
  is.at_least("d", d, 1);
  is.at_least("weight_decay", weight_decay, 0);
}

void Adafactor::slots(const AdafactorOptions&, SlotList& list) {
  const Shape& shape = list.parameter_shape();
  const int rank = shape.rank();
  if (rank < 2) {
    list.add("variance");
    return;
  }
  Shape rows = shape, columns = shape;
  rows[rank - 1] = 1;
  columns[rank - 2] = 1;
  list.add("row_var", rows);
  list.add("col_var", columns);
}

void Adafactor::update(const AdafactorOptions& o, Item& item) {
  if (item.parameter.numel() == 0) return;
  const double machine = item.parameter.dtype() == DType::f32 ? std::numeric_limits<float>::epsilon()
                                                              : std::numeric_limits<double>::epsilon();
  const double eps1 = o.eps1 > 0 ? o.eps1 : machine;
  const auto t = static_cast<double>(item.step);
  const double share = std::pow(t, o.beta2_decay);
  const double step = std::max(o.eps2, rms(item.parameter)) * std::min(o.lr, 1 / std::sqrt(t));

  const Tensor squares = square(item.grad);
  Tensor variance;
  if (item.parameter.rank() < 2) {
    item.slots[0].copy_(item.slots[0] * (1 - share) + squares * share);
    variance = item.slots[0];
  } else {
    Tensor &rows = item.slots[0], &columns = item.slots[1];
    rows.copy_(rows * (1 - share) + mean(squares, {-1}, true) * share);
    columns.copy_(columns * (1 - share) + mean(squares, {-2}, true) * share);
    const Tensor scale = clamp(mean(rows, {-2}, true), eps1, std::numeric_limits<double>::infinity());
    variance = rows * columns / scale;
  }
  // Clamped in the dtype: eps1^2 of a tiny eps1 is 0 in f32, and a zero gradient would give 0 / 0.
  const double floor = std::max(eps1 * eps1, item.parameter.dtype() == DType::f32 ? 1e-38 : 1e-300);
  const Tensor update = item.grad / sqrt(clamp(variance, floor, std::numeric_limits<double>::infinity()));
  const double clipped = step / std::max(1.0, rms(update) / o.d);
  item.parameter.copy_(item.parameter * (1 - o.lr * o.weight_decay) - update * clipped);
}

}  // namespace gradus::optim
