// Shampoo and SOAP: preconditioners for each axis of a tensor.
#pragma once

#include "optim/rule.h"

namespace gradus::optim {

/// Whose size the preconditioned step takes, and which method runs before preconditioning starts.
enum class Graft { none, sgd, adagrad, rmsprop, adam };
constexpr std::array<std::string_view, 5> names_of(Graft) { return {"none", "sgd", "adagrad", "rmsprop", "adam"}; }
enum class RootMethod { eigen, newton };
constexpr std::array<std::string_view, 2> names_of(RootMethod) { return {"eigen", "newton"}; }

struct ShampooOptions {
  double lr = 1e-2;
  double beta1 = 0.9;       // average of the gradients; 0: the gradient itself
  double beta2 = 1;         // average of the statistics; 1: their plain sum
  double eps = 1e-12;       // added to the eigenvalues
  double weight_decay = 0;  // decoupled, beside the step: w -= lr (step + weight_decay w)
  bool use_bias_correction = true;
  Index precondition_frequency = 1;
  Index start_preconditioning_step = 0;  // 0: precondition_frequency
  Index max_preconditioner_dim = 1024;   // longer axes are cut into blocks
  double exponent = 0;                   // of the statistics; 0: -1 / (2 k) for k axes
  RootMethod root = RootMethod::eigen;
  Graft graft = Graft::none;
  double graft_beta2 = 0.999;
  double graft_eps = 1e-8;

  static auto fields(auto& o) {
    return named("lr", o.lr, "beta1", o.beta1, "beta2", o.beta2, "eps", o.eps, "weight_decay", o.weight_decay,
                 "use_bias_correction", o.use_bias_correction, "precondition_frequency", o.precondition_frequency,
                 "start_preconditioning_step", o.start_preconditioning_step, "max_preconditioner_dim",
                 o.max_preconditioner_dim, "exponent", o.exponent, "root", o.root, "graft", o.graft, "graft_beta2",
                 o.graft_beta2, "graft_eps", o.graft_eps);
  }
  void check(OptionCheck& is) const;
};

/// Gupta, Koren, Singer, "Shampoo: Preconditioned Stochastic Tensor Optimization", ICML 2018, algorithms 1 and 2, with
/// the averages, grafting, blocks and intervals of Distributed Shampoo (Shi et al. 2023). For each axis i of length d
/// the statistics H_i += G_(i) G_(i)^T, d x d, with G_(i) the gradient unfolded along i, and the step multiplies every
/// axis by H_i^(-1/(2k)); a vector is the case k = 1. Without accumulation the step of a matrix is U V^T.
struct Shampoo : Rule<Shampoo, ShampooOptions> {
  static constexpr std::string_view kName = "shampoo";
  using Rule::Rule;
  static void slots(const ShampooOptions& o, SlotList& list);
  void update(const ShampooOptions& o, Item& item);
};

struct SOAPOptions {
  double lr = 3e-3;
  Betas betas = {0.95, 0.95};
  double shampoo_beta = -1;    // of the statistics; -1: betas[1]
  double eps = 1e-8;           // added to sqrt(v) before the bias correction
  double weight_decay = 0.01;  // weights shrink by lr * weight_decay after the update
  Index precondition_frequency = 10;
  Index max_precond_dim = 10000;  // longer axes are not rotated
  bool precondition_1d = false;
  bool normalize_grads = false;  // updates of root mean square 1
  bool correct_bias = true;

  static auto fields(auto& o) {
    return named("lr", o.lr, "betas", o.betas, "shampoo_beta", o.shampoo_beta, "eps", o.eps, "weight_decay",
                 o.weight_decay, "precondition_frequency", o.precondition_frequency, "max_precond_dim",
                 o.max_precond_dim, "precondition_1d", o.precondition_1d, "normalize_grads", o.normalize_grads,
                 "correct_bias", o.correct_bias);
  }
  void check(OptionCheck& is) const;
};

/// Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024, algorithm 3, as in the authors' code: Adam
/// in the eigenbasis of Shampoo's statistics, which is refreshed by one QR step every precondition_frequency steps. The
/// first gradient only sets up the basis: nothing moves. The second moment is reordered with the basis but not rotated.
/// Decompositions are made in f64; the authors' code makes them in f32.
struct SOAP : Rule<SOAP, SOAPOptions> {
  static constexpr std::string_view kName = "soap";
  using Rule::Rule;
  static void slots(const SOAPOptions& o, SlotList& list);
  void update(const SOAPOptions& o, Item& item);
};

}  // namespace gradus::optim
