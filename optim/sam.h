// Sharpness-aware minimization: the gradient is taken where the loss nearby is worst. Wraps any optimizer; step() needs
// a closure, which is evaluated twice.
//
// Batch normalization and dropout: the closure may take an int, 0 in the first evaluation and 1 in the second. Let
// running statistics follow the first only, and draw the same masks in both (copy the Rng before the step), as the
// authors do.
#pragma once

#include "optim/wrapper.h"

namespace gradus::optim {

/// How the size of the perturbation follows the size of the weights.
enum class SamScale {
  none,    // SAM (Foret et al., ICLR 2021)
  weight,  // ASAM (Kwon et al., ICML 2021) in the authors' code: T = |w| + eta for names that contain "weight", else T
           // = 1
  absolute,  // ASAM in the code of davda54/sam: T = |w| for all
};
constexpr std::array<std::string_view, 3> names_of(SamScale) { return {"none", "weight", "absolute"}; }

struct SAMOptions {
  double rho = 0.05;
  double p = 2;  // norm of the perturbation: 1 to infinity; ASAM needs 2
  SamScale adaptive = SamScale::none;
  double eta = 0.01;  // of SamScale::weight

  static auto fields(auto& o) { return named("rho", o.rho, "p", o.p, "adaptive", o.adaptive, "eta", o.eta); }
  void check(OptionCheck& is) const;
};

/// w + e with e = rho sign(g) |g|^(q-1) / (||g||_q^q)^(1/p), 1/p + 1/q = 1 (Foret et al., "Sharpness-Aware
/// Minimization", equation 2), over all parameters as one vector; the base steps at w with the gradient taken at w + e.
/// Decay of the base therefore counts once, at w. A zero gradient perturbs nothing. ASAM: e = rho T^2 g / ||T g||.
class SAM : public WrapperWith<SAM, SAMOptions> {
 public:
  static constexpr std::string_view kName = "sam";
  static constexpr const char* kSlot = "none";  // the old weights live only within a step
  using WrapperWith::WrapperWith;
  bool needs_closure() const override { return true; }

 protected:
  void do_step() override {}
  double do_closure_step(const Closure& closure) override;
};

/// The perturbation of SAM for each parameter from the gradients now in them; empty where there is none.
Tensors sam_perturbation(const NamedTensors& parameters, const SAMOptions& options);

struct LookSAMOptions {
  double rho = 0.05;
  Index k = 5;         // SAM's second evaluation every k steps
  double alpha = 0.7;  // weight of the remembered direction in between

  static auto fields(auto& o) { return named("rho", o.rho, "k", o.k, "alpha", o.alpha); }
  void check(OptionCheck& is) const;
};

/// Liu et al., "Towards Efficient and Scalable Sharpness-Aware Minimization", CVPR 2022, algorithm 1: every k steps
/// SAM, whose gradient's part orthogonal to the plain one is remembered; in between the plain gradient plus alpha ||g||
/// / ||g_v|| g_v. Norms are taken over all parameters as one vector.
class LookSAM : public WrapperWith<LookSAM, LookSAMOptions> {
 public:
  static constexpr std::string_view kName = "looksam";
  static constexpr const char* kSlot = "orthogonal";
  using WrapperWith::WrapperWith;
  bool needs_closure() const override { return true; }

 protected:
  void do_step() override {}
  double do_closure_step(const Closure& closure) override;
};

}  // namespace gradus::optim
