// Muon: momentum, orthogonalized.
#pragma once

#include "optim/orthogonalize.h"
#include "optim/roles.h"
#include "optim/rule.h"

namespace gradus::optim {

/// What the orthogonal update is multiplied by, beside lr. The weight is [rows, columns] = [out, in].
enum class MuonScaling {
  original,         // sqrt(max(1, rows / columns)): lr in units of the spectral norm (Jordan et al. 2024)
  match_rms_adamw,  // 0.2 sqrt(max(rows, columns)): AdamW's lr and decay can stay (Liu et al., "Moonlight", 2025)
  rms_to_rms,       // sqrt(rows / columns): lr keeps over widths (Bernstein and Newhouse 2024)
  none,
};
constexpr std::array<std::string_view, 4> names_of(MuonScaling) {
  return {"original", "match_rms_adamw", "rms_to_rms", "none"};
}

struct MuonOptions {
  double lr = 0.02;
  double momentum = 0.95;
  bool nesterov = true;
  double weight_decay = 0;  // decoupled: weights shrink by lr * weight_decay, whatever the scaling
  Orthogonalization orthogonalization = Orthogonalization::jordan;
  Index ns_steps = 5;
  MuonScaling scaling = MuonScaling::original;
  double eps = 1e-7;

  static auto fields(auto& o) {
    return named("lr", o.lr, "momentum", o.momentum, "nesterov", o.nesterov, "weight_decay", o.weight_decay,
                 "orthogonalization", o.orthogonalization, "ns_steps", o.ns_steps, "scaling", o.scaling, "eps", o.eps);
  }
  void check(OptionCheck& is) const;
};

/// Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024: the momentum's nearest orthogonal
/// matrix is the step, so every direction of the weight moves at the same speed.
///
/// For hidden weights: matrices, and kernels read as [out, the rest]. Embeddings, heads and vectors belong to AdamW;
/// with_adamw (optim/roles.h) parts a model so. Give the query, key and value of attention as matrices of their own.
///
/// As in the authors' code the momentum is an average, M += (1 - momentum)(grad - M), and Nesterov's look-ahead is
/// mixed the same way. Unlike it, the scale of a kernel comes from the flattened shape, and a parameter without a
/// gradient stays.
struct Muon : Rule<Muon, MuonOptions> {
  static constexpr std::string_view kName = "muon";
  static constexpr std::array kSlots = {"momentum_buffer"};
  using Rule::Rule;
  static void check_parameter(const MuonOptions&, const NamedTensor& parameter) { check_is_matrix(kName, parameter); }
  void update(const MuonOptions& o, Item& item);
};

/// The factor of `scaling` for a [rows, columns] weight.
double muon_scale(MuonScaling scaling, Index rows, Index columns);

}  // namespace gradus::optim
