// The modular norm: one norm for all weights of a model, composed as the model is (Large, Liu, Huh, Bahng, Isola,
// Bernstein, "Scalable Optimization in the Modular Norm", NeurIPS 2024; Bernstein and Newhouse, "Modular Duality in
// Deep Learning", 2024).
//
//   using optim::ModularNorm;
//   const ModularNorm mlp = ModularNorm::linear("fc2.weight") * ModularNorm::linear("fc1.weight");  // fc2 after fc1
//
// A module has a mass, its share of the change of the whole, a sensitivity, a bound on how much it amplifies a change
// of its input, and a norm of its weights. Whatever the composition, the norm is the largest of the atoms' norms over
// their coefficients, and its dual map gives each atom its own, times the coefficient.
#pragma once

#include "core/named.h"
#include "optim/orthogonalize.h"

#include <string>
#include <vector>

namespace gradus::optim {

/// A norm of one weight.
enum class AtomNorm {
  linear,  // [out, in]: sqrt(in / out) ||W||_op, from root mean square to root mean square
  embed,   // [entries, width]: the largest root mean square of an entry
  conv2d,  // [out, in, height, width]: positions times the largest `linear` norm of a position
  vector,  // the root mean square: for biases and gains, which the papers leave out
};

/// The element of unit norm with the largest inner product with g: linear sqrt(out / in) U V^T, embed and vector each
/// entry over its root mean square, conv2d the linear one of every position over their number. Zero gives zero.
Tensor dualize(AtomNorm norm, const Tensor& g, Orthogonalization orthogonalization = Orthogonalization::svd,
               Index steps = 6);
double atom_norm(AtomNorm norm, const Tensor& weight);

class ModularNorm {
 public:
  struct Atom {
    std::string name;  // of the parameter
    AtomNorm norm;
    double coefficient = 1;  // its share of the update
  };

  static ModularNorm linear(std::string name, double mass = 1) { return {std::move(name), AtomNorm::linear, mass}; }
  static ModularNorm embed(std::string name, double mass = 1) { return {std::move(name), AtomNorm::embed, mass}; }
  static ModularNorm conv2d(std::string name, double mass = 1) { return {std::move(name), AtomNorm::conv2d, mass}; }
  static ModularNorm vector(std::string name, double mass = 1) { return {std::move(name), AtomNorm::vector, mass}; }
  /// A module without weights: ReLU and identity have sensitivity 1, multiplication by a has |a|.
  static ModularNorm bond(double sensitivity = 1);
  /// A guess for a model whose layers follow each other in the order of the list, all of mass 1: matrices are linear,
  /// with "embed" in a part of their name they are embeddings, four axes are conv2d, the rest are vectors.
  static ModularNorm chain(const NamedTensors& parameters);

  /// `outer` after `inner` (Modular Duality, definition 3).
  friend ModularNorm operator*(const ModularNorm& outer, const ModularNorm& inner);
  /// Side by side on the same input, results concatenated (definition 4).
  static ModularNorm tuple(const ModularNorm& a, const ModularNorm& b);
  /// Side by side, results added.
  friend ModularNorm operator+(const ModularNorm& a, const ModularNorm& b) { return tuple(a, b); }
  /// (1 - share) x + share branch(x): share = 1 / (number of branches) keeps the sensitivity bounded.
  static ModularNorm residual(double share, const ModularNorm& branch);
  /// The same module with another mass.
  ModularNorm tare(double mass) const;

  double mass() const { return mass_; }
  double sensitivity() const { return sensitivity_; }
  const std::vector<Atom>& atoms() const { return atoms_; }

  /// The largest of the atoms' norms over their coefficients; parameters that are no atom do not count.
  double norm(const NamedTensors& weights) const;

 private:
  ModularNorm() = default;
  ModularNorm(std::string name, AtomNorm norm, double mass);
  static ModularNorm join(const ModularNorm& a, double scale_a, const ModularNorm& b, double scale_b);

  double mass_ = 0, sensitivity_ = 1;
  std::vector<Atom> atoms_;
};

}  // namespace gradus::optim
