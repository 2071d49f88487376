#include "optim/low_rank.h"

#include "core/linalg.h"
#include "core/ops.h"
#include "core/random.h"
#include "optim/vector.h"

#include <algorithm>
#include <cmath>

namespace gradus::optim {
namespace {

struct Sizes {
  Index rows, columns, rank;
  bool right() const { return rows >= columns; }  // R = G P^T, P is [rank, columns]; else R = P^T G, P is [rows, rank]
  Shape projector() const { return right() ? Shape{rank, columns} : Shape{rows, rank}; }
  Shape projected() const { return right() ? Shape{rows, rank} : Shape{rank, columns}; }
};

Sizes sizes_of(const Shape& shape, Index rank) {
  const Index rows = shape[0];
  Index columns = 1;
  for (int axis = 1; axis < shape.rank(); ++axis) columns *= shape[axis];
  const Index shorter = std::min(rows, columns);
  return {rows, columns, rank > 0 ? rank : std::max<Index>(1, shorter / 4)};
}

void check_sizes(std::string_view method, Index rank, const NamedTensor& parameter) {
  check_is_matrix(method, parameter);
  const Sizes sizes = sizes_of(parameter.tensor.shape(), rank);
  const Index shorter = std::min(sizes.rows, sizes.columns);
  GRADUS_CHECK(rank <= shorter || parameter.tensor.numel() == 0,
               std::string(method) + ": rank = " + std::to_string(rank) + " is larger than parameter \"" +
                   parameter.name + "\", " + describe(parameter.tensor) + "\n  needs rank <= " +
                   std::to_string(shorter) + "\n  hint: rank=0 takes a quarter of the shorter side");
}

void check_common(OptionCheck& is, const auto& o) {
  is.at_least("lr", o.lr, 0);
  is.fraction("betas", o.betas);
  is.at_least("eps", o.eps, 0);
  is.at_least("weight_decay", o.weight_decay, 0);
  is.at_least("rank", static_cast<double>(o.rank), 0);
  is.at_least("update_proj_gap", static_cast<double>(o.update_proj_gap), 1);
  is.at_least("scale", o.scale, 0);
}

/// The leading singular vectors, each with its largest entry positive: their sign is free otherwise, and the states
/// would depend on it.
Tensor leading_vectors(const Tensor& g, const Sizes& sizes) {
  const NoGrad no_grad;
  const linalg::Svd f = linalg::svd(g);
  const Tensor vectors = contiguous(sizes.right() ? slice(f.vt, 0, 0, sizes.rank)
                                                  : transpose(slice(f.u, 1, 0, sizes.rank)));  // [rank, side]
  std::vector<double> signs;
  for (Index k = 0; k < sizes.rank; ++k) {
    double largest = 0;
    for (const double x : select(vectors, 0, k).to_vector())
      if (std::abs(x) > std::abs(largest) * (1 + 1e-9)) largest = x;  // of equal ones the first, whatever the rounding
    signs.push_back(largest < 0 ? -1 : 1);
  }
  const Tensor oriented = vectors * tensor(signs, {sizes.rank, 1}, g.dtype());
  return contiguous(sizes.right() ? oriented : transpose(oriented));
}

Tensor project(const Tensor& g, const Tensor& p, const Sizes& sizes) {
  return sizes.right() ? matmul(g, transpose(p)) : matmul(transpose(p), g);
}
Tensor project_back(const Tensor& r, const Tensor& p, const Sizes& sizes) {
  return sizes.right() ? matmul(r, p) : matmul(p, r);
}

/// Adam's step m / (sqrt(v) + eps) for the projected gradient.
Tensor adam_direction(const Tensor& r, Tensor m, Tensor v, const Betas& betas, double eps_value) {
  Tensor direction = empty(r.shape(), r.dtype());
  const Tensor dense = contiguous(r);
  sweep(
      [&]<class T>(T) {
        const T beta1 = T(betas[0]), beta2 = T(betas[1]), eps = T(eps_value);
        return [=](T& d, T g, T& first, T& second) {
          first = beta1 * first + (1 - beta1) * g;
          second = beta2 * second + (1 - beta2) * (g * g);
          d = first / (std::sqrt(second) + eps);
        };
      },
      direction, dense, m, v);
  return direction;
}

double corrected_lr(double lr, const Betas& betas, Index step) {
  const auto t = static_cast<double>(step);
  return lr * std::sqrt(1 - std::pow(betas[1], t)) / (1 - std::pow(betas[0], t));
}

/// w -= lr_t d, and then the decay, on the new w.
void apply(Item& item, const Tensor& direction, double lr_t, double decay) {
  const Tensor d = contiguous(reshape(direction, item.parameter.shape()));
  sweep(
      [&]<class T>(T) {
        const T step = T(lr_t), keep = T(1 - decay);
        return [=](T& weight, T u) { weight = keep * (weight - step * u); };
      },
      item.parameter, d);
}

/// ||a_j|| / (||b_j|| + 1e-8) for each row or column of the longer side, or for the whole.
Tensor channel_ratio(const Tensor& a, const Tensor& b, const Sizes& sizes) {
  const Axes axis = {sizes.right() ? 1 : 0};
  return norm(a, 2, axis, true) / (norm(b, 2, axis, true) + 1e-8);
}

constexpr double kGrowth = 1.01;

/// Divides so that the norm is at most kGrowth times the previous one, and remembers it. No previous norm, or 0: no
/// limit.
Tensor limit_growth(const Tensor& x, Tensor& previous) {
  const double size = std::sqrt(squared_norm(contiguous(x)));
  const double before = previous.item();
  const double limiter = before > 0 ? std::max(size / (before + 1e-8), kGrowth) / kGrowth : 1;
  previous.fill_(size / limiter);
  return limiter == 1 ? x : x * (1 / limiter);
}

bool refresh(Index step, Index gap) { return (step - 1) % gap == 0; }

}  // namespace

void GaLoreOptions::check(OptionCheck& is) const { check_common(is, *this); }
void APOLLOOptions::check(OptionCheck& is) const {
  check_common(is, *this);
  is.that(seed >= 0 && seed < (1 << 24), "seed needs to lie in [0, 16777216)");
}

// --- GaLore
// ------------------------------------------------------------------------------------------------------------

void GaLore::check_parameter(const GaLoreOptions& o, const NamedTensor& parameter) {
  check_sizes(kName, o.rank, parameter);
}

void GaLore::slots(const GaLoreOptions& o, SlotList& list) {
  const Sizes sizes = sizes_of(list.parameter_shape(), o.rank);
  list.add("projector", sizes.projector());
  list.add("exp_avg", sizes.projected());
  list.add("exp_avg_sq", sizes.projected());
}

void GaLore::update(const GaLoreOptions& o, Item& item) {
  if (item.parameter.numel() == 0) return;
  const Sizes sizes = sizes_of(item.parameter.shape(), o.rank);
  const Tensor g = as_matrix(item.grad);
  Tensor& p = item.slots[0];
  if (refresh(item.step, o.update_proj_gap)) p.copy_(leading_vectors(g, sizes));
  const Tensor direction = adam_direction(project(g, p, sizes), item.slots[1], item.slots[2], o.betas, o.eps);
  apply(item, project_back(direction, p, sizes) * o.scale, corrected_lr(o.lr, o.betas, item.step),
        o.lr * o.weight_decay);
}

// --- Fira
// --------------------------------------------------------------------------------------------------------------

void Fira::check_parameter(const GaLoreOptions& o, const NamedTensor& parameter) {
  check_sizes(kName, o.rank, parameter);
}

void Fira::slots(const GaLoreOptions& o, SlotList& list) {
  GaLore::slots(o, list);
  list.add("previous_norm", Shape());
}

void Fira::update(const GaLoreOptions& o, Item& item) {
  if (item.parameter.numel() == 0) return;
  const Sizes sizes = sizes_of(item.parameter.shape(), o.rank);
  const Tensor g = as_matrix(item.grad);
  Tensor& p = item.slots[0];
  if (refresh(item.step, o.update_proj_gap)) p.copy_(leading_vectors(g, sizes));
  const Tensor r = project(g, p, sizes);
  const Tensor direction = adam_direction(r, item.slots[1], item.slots[2], o.betas, o.eps);
  const Tensor rest = (g - project_back(r, p, sizes) * o.scale) * channel_ratio(direction, r, sizes);
  apply(item, project_back(direction, p, sizes) * o.scale + limit_growth(rest, item.slots[3]),
        corrected_lr(o.lr, o.betas, item.step), o.lr * o.weight_decay);
}

// --- APOLLO
// ------------------------------------------------------------------------------------------------------------

void APOLLO::check_parameter(const APOLLOOptions& o, const NamedTensor& parameter) {
  check_sizes(kName, o.rank, parameter);
}

void APOLLO::slots(const APOLLOOptions& o, SlotList& list) {
  const Sizes sizes = sizes_of(list.parameter_shape(), o.rank);
  list.add("exp_avg", sizes.projected());
  list.add("exp_avg_sq", sizes.projected());
  list.add("seed", Shape());  // a whole number below 2^24, exact in f32
  list.add("previous_norm", Shape());
  if (o.projection == Projection::svd) list.add("projector", sizes.projector());
}

void APOLLO::update(const APOLLOOptions& o, Item& item) {
  if (item.parameter.numel() == 0) return;
  const Sizes sizes = sizes_of(item.parameter.shape(), o.rank);
  const Tensor g = as_matrix(item.grad);
  if (item.step == 1)
    item.slots[2].fill_(static_cast<double>((o.seed + static_cast<Index>(item.index) + 1) % (Index{1} << 24)));

  Tensor p;
  if (o.projection == Projection::svd) {
    p = item.slots[4];
    if (refresh(item.step, o.update_proj_gap)) p.copy_(leading_vectors(g, sizes));
  } else {
    const auto seed = static_cast<std::uint64_t>(item.slots[2].item());
    Rng rng = Rng(seed).split(static_cast<std::uint64_t>((item.step - 1) / o.update_proj_gap));
    p = to(randn(sizes.projector(), rng, DType::f64) * (1 / std::sqrt(static_cast<double>(sizes.rank))), g.dtype());
  }
  const Tensor r = project(g, p, sizes);
  const Tensor direction = adam_direction(r, item.slots[0], item.slots[1], o.betas, o.eps);
  Tensor scaled = o.scale_type == ScaleType::channel ? g * channel_ratio(direction, r, sizes)
                                                     : g * (norm(direction) / (norm(r) + 1e-8));
  const double amplify = std::sqrt(o.scale);
  if (o.scale_front) scaled = scaled * amplify;
  if (o.limiter) scaled = limit_growth(scaled, item.slots[3]);
  if (!o.scale_front) scaled = scaled * amplify;
  apply(item, scaled, corrected_lr(o.lr, o.betas, item.step), o.lr * o.weight_decay);
}

}  // namespace gradus::optim
