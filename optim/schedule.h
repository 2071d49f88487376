// Schedules: pure functions from a step, counted from 0, to a number. They own no optimizer and remember nothing, so a
// run that goes on from a checkpoint only needs its step.
//
//   const Schedule lr = optim::warmup(100) * optim::cosine(2000);
//   optimizer.set_lr_scale(lr(optimizer.steps()));                       // multiplies every group's lr
//   optimizer.set("weight_decay", 0.1 * optim::linear(0, 1, 500)(optimizer.steps()));
//
// Most start or peak at 1 and are meant to multiply a base value. `floor` is a share of that base.
#pragma once

#include "core/shape.h"
#include "optim/options.h"

#include <array>
#include <concepts>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace gradus::optim {

/// A function from step to number, as a value. Any callable double(Index) converts to it.
class Schedule {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Schedule> && std::is_invocable_r_v<double, const F&, Index>)
      Schedule(F f)
      : object_(std::make_shared<F>(std::move(f))),
        call_([](const void* object, Index step) -> double { return (*static_cast<const F*>(object))(step); }) {}

  double operator()(Index step) const { return call_(object_.get(), step); }

 private:
  std::shared_ptr<const void> object_;
  double (*call_)(const void*, Index);
};

/// The product at every step: warmup(100) * cosine(2000).
Schedule operator*(Schedule a, Schedule b);
/// `first` for `steps` steps, then `next`, which counts from 0 again.
Schedule then(Schedule first, Index steps, Schedule next);

Schedule constant(double value = 1);
/// (s + 1) / steps up to 1, so that the first step moves. from_zero: s / steps, whose first step does not.
Schedule warmup(Index steps, bool from_zero = false);
/// gamma^floor(s / size): PyTorch's StepLR.
Schedule step_decay(Index size, double gamma = 0.1);
/// gamma^(number of milestones <= s): MultiStepLR. Milestones in increasing order.
Schedule multistep(std::vector<Index> milestones, double gamma = 0.1);
/// gamma^s: ExponentialLR.
Schedule exponential(double gamma);
/// From `start` to `end` in a line over `total` steps, then `end`: LinearLR.
Schedule linear(double start, double end, Index total);
/// (1 - s / total)^power, then 0: PolynomialLR. Power 1 is linear decay (Defazio et al., "When, Why and How Much?",
/// 2023).
Schedule polynomial(Index total, double power = 1);
/// Half a cosine from 1 to `floor` over `total` steps, then `floor` (Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5).
/// PyTorch's CosineAnnealingLR rises again after `total`: set `rises_again` for that.
Schedule cosine(Index total, double floor = 0, bool rises_again = false);
/// Cosines over `period`, period * factor, period * factor^2, ... steps, each from 1: CosineAnnealingWarmRestarts.
Schedule cosine_restarts(Index period, Index factor = 1, double floor = 0);

enum class Decay { linear, cosine, one_minus_sqrt };
constexpr std::array<std::string_view, 3> names_of(Decay) { return {"linear", "cosine", "one_minus_sqrt"}; }
/// From 1 to `floor` over `steps`, then `floor`: the last phase of wsd alone, for a run that goes on from a checkpoint.
Schedule cooldown(Index steps, double floor = 0, Decay shape = Decay::linear);
/// Warm-up, stable, decay: (s + 1) / warmup up to 1, then 1, then cooldown over the last decay_share of `total`
/// (Hu et al., "MiniCPM", 2024, section 4).
Schedule wsd(Index total, Index warmup_steps, double decay_share = 0.2, double floor = 0, Decay shape = Decay::linear);
/// Up to 1 at t = warmup_steps, then sqrt(warmup_steps / t), with t = s + 1 (Vaswani et al., "Attention Is All You
/// Need", 2017, eq. 3, divided by its peak 1 / sqrt(d_model warmup_steps)).
Schedule inverse_sqrt(Index warmup_steps);

/// One cycle: from 1 / start_divisor up to 1 at pct_start * total - 1, down to 1 / (start_divisor * final_divisor) at
/// total - 1, both along cosines: OneCycleLR (Smith and Topin, "Super-Convergence", 2018).
Schedule one_cycle(Index total, double pct_start = 0.3, double start_divisor = 25, double final_divisor = 1e4);
/// The momentum that goes with it: from `high` down to `low` and up again. A value, not a factor.
Schedule one_cycle_momentum(Index total, double pct_start = 0.3, double low = 0.85, double high = 0.95);

/// A schedule by name for a run of `total` steps, as command lines choose it: constant, linear, cosine, wsd, one_cycle,
/// inverse_sqrt. All but one_cycle begin with `warmup_steps` of warm-up.
Schedule make_schedule(std::string_view name, Index total, Index warmup_steps);
std::vector<std::string> schedule_names();

/// Lowers a factor when a metric stops falling: ReduceLROnPlateau with a relative threshold. Not a function of the
/// step: it is what it has seen, and its four last fields are all there is to save.
struct Plateau {
  double factor = 0.1;
  Index patience = 10;  // calls without improvement that are forgiven
  double threshold = 1e-4;
  Index cooldown = 0;  // calls after a reduction in which nothing counts as bad
  double min_scale = 0;

  double scale = 1;
  double best = std::numeric_limits<double>::infinity();
  Index bad = 0;
  Index cooling = 0;

  /// Takes the metric (smaller is better) and returns the scale from now on.
  double operator()(double metric);
};

}  // namespace gradus::optim
