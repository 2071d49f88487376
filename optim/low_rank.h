// Adam with small states: GaLore, Fira, APOLLO and APOLLO-Mini keep their moments of a projected gradient.
//
// A weight G of m x n numbers, m <= n, is projected along its shorter side to r x n: R = P^T G for rows < columns, else
// R = G P^T. For hidden matrices; a kernel is read as [out, the rest]. with_adamw (optim/roles.h) gives the others to
// AdamW. rank = 0 takes a quarter of the shorter side, at least 1, as the papers do; a rank larger than the side is an
// Error. The states are not rotated when the projection changes, as in the authors' code.
#pragma once

#include "optim/roles.h"
#include "optim/rule.h"

namespace gradus::optim {

struct GaLoreOptions {
  double lr = 0.01;
  Betas betas = {0.9, 0.999};
  double eps = 1e-6;        // added to sqrt(v) before any bias correction
  double weight_decay = 0;  // weights shrink by lr * weight_decay after the update
  Index rank = 0;
  Index update_proj_gap = 200;
  double scale = 0.25;

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "rank", o.rank,
                 "update_proj_gap", o.update_proj_gap, "scale", o.scale);
  }
  void check(OptionCheck& is) const;
};

/// Zhao et al., "GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection", ICML 2024, algorithm 2: Adam
/// within the gradient's leading singular vectors, refreshed every update_proj_gap steps, and projected back.
struct GaLore : Rule<GaLore, GaLoreOptions> {
  static constexpr std::string_view kName = "galore";
  using Rule::Rule;
  static void check_parameter(const GaLoreOptions& o, const NamedTensor& parameter);
  static void slots(const GaLoreOptions& o, SlotList& list);
  void update(const GaLoreOptions& o, Item& item);
};

/// Chen et al., "Fira: Can We Achieve Full-rank Training of LLMs Under Low-rank Constraint?", 2024, algorithm 1:
/// GaLore, and what the projection leaves out is added with Adam's scale per column and a limit of 1 % on its growth.
struct Fira : Rule<Fira, GaLoreOptions> {
  static constexpr std::string_view kName = "fira";
  using Rule::Rule;
  static void check_parameter(const GaLoreOptions& o, const NamedTensor& parameter);
  static void slots(const GaLoreOptions& o, SlotList& list);
  void update(const GaLoreOptions& o, Item& item);
};

enum class Projection { random, svd };
constexpr std::array<std::string_view, 2> names_of(Projection) { return {"random", "svd"}; }
enum class ScaleType { channel, tensor };
constexpr std::array<std::string_view, 2> names_of(ScaleType) { return {"channel", "tensor"}; }

struct APOLLOOptions {
  double lr = 1e-3;
  Betas betas = {0.9, 0.999};
  double eps = 1e-6;
  double weight_decay = 0;  // weights shrink by lr * weight_decay after the update
  Index rank = 0;
  Index update_proj_gap = 200;
  double scale = 1;  // its root multiplies the update
  ScaleType scale_type = ScaleType::channel;
  Projection projection = Projection::random;
  bool scale_front = false;  // multiply before the limiter
  bool limiter = true;       // the norm of the update grows by at most 1 % a step
  Index seed = 0;

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "eps", o.eps, "weight_decay", o.weight_decay, "rank", o.rank,
                 "update_proj_gap", o.update_proj_gap, "scale", o.scale, "scale_type", o.scale_type, "projection",
                 o.projection, "scale_front", o.scale_front, "limiter", o.limiter, "seed", o.seed);
  }
  void check(OptionCheck& is) const;
};

/// Zhu et al., "APOLLO: SGD-like Memory, AdamW-level Performance", 2024, algorithm 1: the gradient itself, scaled per
/// channel (or tensor) by what Adam would have done to a random projection of it. The projection is drawn again from a
/// saved seed whenever it is needed. Where the norm was 0 the limiter starts anew; the authors' code would stop there
/// for good.
struct APOLLO : Rule<APOLLO, APOLLOOptions> {
  static constexpr std::string_view kName = "apollo";
  using Rule::Rule;
  static void check_parameter(const APOLLOOptions& o, const NamedTensor& parameter);
  static void slots(const APOLLOOptions& o, SlotList& list);
  void update(const APOLLOOptions& o, Item& item);
};

/// The options of APOLLO-Mini: rank 1, one scale for a tensor, times sqrt(128).
inline APOLLOOptions apollo_mini() {
  APOLLOOptions options;
  options.rank = 1;
  options.scale = 128;
  options.scale_type = ScaleType::tensor;
  return options;
}

}  // namespace gradus::optim
