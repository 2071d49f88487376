#include "optim/modular_norm.h"

#include "core/autograd.h"
#include "core/linalg.h"
#include "core/ops.h"
#include "optim/vector.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gradus::optim {
namespace {

/// Rows over their root mean square; zero rows stay zero.
Tensor rows_of_unit_rms(const Tensor& g) {
  const Tensor rms = sqrt(mean(square(g), {-1}, true));
  return g / where(equal(rms, zeros_like(rms)), ones_like(rms), rms);
}

Tensor as_vector(const Tensor& x) { return reshape(x, {1, x.numel()}); }

/// [out, in] of one kernel position, as a dense matrix.
Tensor position(const Tensor& kernel, Index y, Index x) { return contiguous(select(select(kernel, 3, x), 2, y)); }

double largest_singular_value(const Tensor& w) {
  const std::vector<double> s = linalg::svd(w).s.to_vector();
  return s.empty() ? 0 : s[0];
}

double ratio(const Tensor& w) { return std::sqrt(static_cast<double>(w.size(0)) / static_cast<double>(w.size(1))); }

void check_rank(AtomNorm norm, const Tensor& x) {
  const int needed = norm == AtomNorm::conv2d ? 4 : 2;
  GRADUS_CHECK(
      norm == AtomNorm::vector || x.rank() == needed,
      "modular norm: " + describe(x) + "\n  needs " + (needed == 4 ? "[out, in, height, width]" : "[out, in]"));
}

}  // namespace

Tensor dualize(AtomNorm norm, const Tensor& g, Orthogonalization orthogonalization, Index steps) {
  const NoGrad no_grad;
  check_rank(norm, g);
  if (g.numel() == 0) return clone(g.detach());
  switch (norm) {
    case AtomNorm::linear: return orthogonalize(g, orthogonalization, steps) * ratio(g);
    case AtomNorm::embed: return rows_of_unit_rms(g);
    case AtomNorm::vector: return reshape(rows_of_unit_rms(as_vector(g)), g.shape());
    case AtomNorm::conv2d: break;
  }
  Tensor result = empty(g.shape(), g.dtype());
  const double positions = static_cast<double>(g.size(2) * g.size(3));
  for (Index y = 0; y < g.size(2); ++y)
    for (Index x = 0; x < g.size(3); ++x) {
      Tensor target = select(select(result, 3, x), 2, y);
      target.copy_(dualize(AtomNorm::linear, position(g, y, x), orthogonalization, steps) * (1 / positions));
    }
  return result;
}

double atom_norm(AtomNorm norm, const Tensor& weight) {
  const NoGrad no_grad;
  const Tensor w = weight.detach();
  check_rank(norm, w);
  if (w.numel() == 0) return 0;
  switch (norm) {
    case AtomNorm::linear: return largest_singular_value(w) / ratio(w);
    case AtomNorm::embed: return std::sqrt(max(mean(square(w), {-1})).item());
    case AtomNorm::vector: return std::sqrt(squared_norm(w) / static_cast<double>(w.numel()));
    case AtomNorm::conv2d: break;
  }
  double largest = 0;
  for (Index y = 0; y < w.size(2); ++y)
    for (Index x = 0; x < w.size(3); ++x) largest = std::max(largest, atom_norm(AtomNorm::linear, position(w, y, x)));
  return largest * static_cast<double>(w.size(2) * w.size(3));
}

ModularNorm::ModularNorm(std::string name, AtomNorm norm, double mass) : mass_(mass) {
  GRADUS_CHECK(mass >= 0,
               "modular norm: the mass of \"" + name + "\" is " + std::to_string(mass) + "\n  needs mass >= 0");
  atoms_.push_back({std::move(name), norm, mass > 0 ? 1.0 : 0.0});
}

ModularNorm ModularNorm::bond(double sensitivity) {
  GRADUS_CHECK(sensitivity >= 0, "modular norm: sensitivity = " + std::to_string(sensitivity) + "\n  needs at least 0");
  ModularNorm module;
  module.sensitivity_ = sensitivity;
  return module;
}

/// Both modules' atoms, their coefficients scaled.
ModularNorm ModularNorm::join(const ModularNorm& a, double scale_a, const ModularNorm& b, double scale_b) {
  ModularNorm both;
  both.mass_ = a.mass_ + b.mass_;
  both.atoms_ = a.atoms_;
  for (Atom& atom : both.atoms_) atom.coefficient *= scale_a;
  for (Atom atom : b.atoms_) {
    atom.coefficient *= scale_b;
    both.atoms_.push_back(atom);
  }
  return both;
}

namespace {

/// The share of the mass, 0 for a module without mass.
double share_of(double mass, double total) { return mass > 0 ? mass / total : 0; }

}  // namespace

ModularNorm operator*(const ModularNorm& outer, const ModularNorm& inner) {
  const double total = outer.mass_ + inner.mass_;
  const double inner_share = share_of(inner.mass_, total);
  GRADUS_CHECK(inner_share == 0 || outer.sensitivity_ > 0,
               "modular norm: a module of sensitivity 0 hides the weights before it\n  needs a sensitivity above 0");
  ModularNorm both = ModularNorm::join(outer, share_of(outer.mass_, total), inner,
                                       inner_share == 0 ? 0 : inner_share / outer.sensitivity_);
  both.sensitivity_ = outer.sensitivity_ * inner.sensitivity_;
  return both;
}

ModularNorm ModularNorm::tuple(const ModularNorm& a, const ModularNorm& b) {
  const double total = a.mass_ + b.mass_;
  ModularNorm both = join(a, share_of(a.mass_, total), b, share_of(b.mass_, total));
  both.sensitivity_ = a.sensitivity_ + b.sensitivity_;
  return both;
}

ModularNorm ModularNorm::residual(double share, const ModularNorm& branch) {
  return bond(1 - share) + bond(share) * branch;
}

ModularNorm ModularNorm::tare(double mass) const {
  GRADUS_CHECK(mass >= 0, "modular norm: mass = " + std::to_string(mass) + "\n  needs at least 0");
  ModularNorm same = *this;
  same.mass_ = mass;
  if (mass == 0)
    for (Atom& atom : same.atoms_) atom.coefficient = 0;
  return same;
}

ModularNorm ModularNorm::chain(const NamedTensors& parameters) {
  ModularNorm all = bond(1);
  for (const auto& [name, tensor] : parameters) {
    if (tensor.rank() == 4) {
      all = conv2d(name) * all;
    } else if (tensor.rank() == 2) {
      all = (name.find("embed") != std::string::npos ? embed(name) : linear(name)) * all;
    } else {
      all = vector(name) * all;
    }
  }
  return all;
}

double ModularNorm::norm(const NamedTensors& weights) const {
  double largest = 0;
  for (const Atom& atom : atoms_)
    for (const auto& [name, tensor] : weights) {
      if (name != atom.name) continue;
      const double size = atom_norm(atom.norm, tensor);
      if (size > 0)
        largest =
            std::max(largest, atom.coefficient > 0 ? size / atom.coefficient : std::numeric_limits<double>::infinity());
    }
  return largest;
}

}  // namespace gradus::optim
