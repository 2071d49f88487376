#include "optim/schedule.h"

#include "core/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gradus::optim {
namespace {

double ratio(Index a, Index b) { return static_cast<double>(a) / static_cast<double>(b); }

/// From `from` at 0 to `to` at 1 along half a cosine.
double cosine_between(double from, double to, double share) {
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * share));
}

void positive(const char* schedule, const char* what, Index value) {
  GRADUS_CHECK(value > 0, std::string(schedule) + ": " + what + " = " + std::to_string(value) + "\n  needs at least 1");
}

}  // namespace

Schedule operator*(Schedule a, Schedule b) {
  return [a = std::move(a), b = std::move(b)](Index s) { return a(s) * b(s); };
}

Schedule then(Schedule first, Index steps, Schedule next) {
  return [=](Index s) { return s < steps ? first(s) : next(s - steps); };
}

Schedule constant(double value) {
  return [=](Index) { return value; };
}

Schedule warmup(Index steps, bool from_zero) {
  GRADUS_CHECK(steps >= 0, "warmup: steps = " + std::to_string(steps) + "\n  needs at least 0");
  return [=](Index s) { return steps == 0 ? 1.0 : std::min(1.0, ratio(from_zero ? s : s + 1, steps)); };
}

Schedule step_decay(Index size, double gamma) {
  positive("step_decay", "size", size);
  return [=](Index s) { return std::pow(gamma, static_cast<double>(s / size)); };
}

Schedule multistep(std::vector<Index> milestones, double gamma) {
  GRADUS_CHECK(std::is_sorted(milestones.begin(), milestones.end()), "multistep: milestones must not fall");
  return [=](Index s) {
    const auto passed = std::upper_bound(milestones.begin(), milestones.end(), s) - milestones.begin();
    return std::pow(gamma, static_cast<double>(passed));
  };
}

Schedule exponential(double gamma) {
  return [=](Index s) { return std::pow(gamma, static_cast<double>(s)); };
}

Schedule linear(double start, double end, Index total) {
  positive("linear", "total", total);
  return [=](Index s) { return start + (end - start) * ratio(std::min(s, total), total); };
}

Schedule polynomial(Index total, double power) {
  positive("polynomial", "total", total);
  return [=](Index s) { return std::pow(1 - ratio(std::min(s, total), total), power); };
}

Schedule cosine(Index total, double floor, bool rises_again) {
  positive("cosine", "total", total);
  return [=](Index s) { return cosine_between(1, floor, ratio(rises_again ? s : std::min(s, total), total)); };
}

Schedule cosine_restarts(Index period, Index factor, double floor) {
  positive("cosine_restarts", "period", period);
  positive("cosine_restarts", "factor", factor);
  return [=](Index s) {
    if (factor == 1) return cosine_between(1, floor, ratio(s % period, period));
    Index length = period;
    while (s >= length) {
      s -= length;
      length *= factor;
    }
    return cosine_between(1, floor, ratio(s, length));
  };
}

Schedule cooldown(Index steps, double floor, Decay shape) {
  positive("cooldown", "steps", steps);
  return [=](Index s) {
    const double share = ratio(std::min(s, steps), steps);
    switch (shape) {
      case Decay::linear: return 1 + (floor - 1) * share;
      case Decay::cosine: return cosine_between(1, floor, share);
      case Decay::one_minus_sqrt: return 1 + (floor - 1) * std::sqrt(share);
    }
    return floor;
  };
}

Schedule wsd(Index total, Index warmup_steps, double decay_share, double floor, Decay shape) {
  positive("wsd", "total", total);
  GRADUS_CHECK(decay_share >= 0 && decay_share <= 1,
               "wsd: decay_share = " + std::to_string(decay_share) + "\n  needs a share of the run, 0 to 1");
  const auto decay = static_cast<Index>(std::llround(decay_share * static_cast<double>(total)));
  Schedule rise = warmup(warmup_steps);
  return decay == 0 ? rise : rise * then(constant(), total - decay, cooldown(decay, floor, shape));
}

Schedule inverse_sqrt(Index warmup_steps) {
  positive("inverse_sqrt", "warmup_steps", warmup_steps);
  return [=](Index s) { return std::min(ratio(s + 1, warmup_steps), std::sqrt(ratio(warmup_steps, s + 1))); };
}

namespace {

Schedule two_phases(Index total, double pct_start, double start, double peak, double end) {
  positive("one_cycle", "total", total);
  GRADUS_CHECK(pct_start >= 0 && pct_start <= 1,
               "one_cycle: pct_start = " + std::to_string(pct_start) + "\n  needs a share of the run, 0 to 1");
  const double top = pct_start * static_cast<double>(total) - 1;
  const double last = static_cast<double>(total) - 1;
  return [=](Index s) {
    const double at = std::min(static_cast<double>(s), last);
    if (at < top) return cosine_between(start, peak, at / top);
    return last > top ? cosine_between(peak, end, (at - top) / (last - top)) : peak;
  };
}

}  // namespace

Schedule one_cycle(Index total, double pct_start, double start_divisor, double final_divisor) {
  return two_phases(total, pct_start, 1 / start_divisor, 1, 1 / (start_divisor * final_divisor));
}

Schedule one_cycle_momentum(Index total, double pct_start, double low, double high) {
  return two_phases(total, pct_start, high, low, high);
}

std::vector<std::string> schedule_names() {
  return {"constant", "linear", "cosine", "wsd", "one_cycle", "inverse_sqrt"};
}

Schedule make_schedule(std::string_view name, Index total, Index warmup_steps) {
  positive("make_schedule", "total", total);
  const Index rest = std::max<Index>(1, total - warmup_steps);
  const auto warmed = [&](Schedule s) { return warmup_steps > 0 ? then(warmup(warmup_steps), warmup_steps, s) : s; };
  if (name == "constant") return warmup(warmup_steps);
  if (name == "linear") return warmed(polynomial(rest));
  if (name == "cosine") return warmed(cosine(rest));
  if (name == "wsd") return wsd(total, warmup_steps);
  if (name == "one_cycle") return one_cycle(total);
  if (name == "inverse_sqrt") return inverse_sqrt(std::max<Index>(1, warmup_steps));
  const auto names = schedule_names();
  std::string text = "unknown schedule \"" + std::string(name) + "\"\n  valid:";
  for (const std::string& valid : names) text += " " + valid;
  if (const std::string near = nearest(name, names); !near.empty()) text += "\n  hint: did you mean " + near + "?";
  fail(text);
}

double Plateau::operator()(double metric) {
  if (metric < best * (1 - threshold)) {
    best = metric;
    bad = 0;
  } else {
    ++bad;
  }
  if (cooling > 0) {
    --cooling;
    bad = 0;
  }
  if (bad > patience) {
    scale = std::max(scale * factor, min_scale);
    cooling = cooldown;
    bad = 0;
  }
  return scale;
}

}  // namespace gradus::optim
