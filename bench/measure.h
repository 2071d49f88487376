// Timing of repeated steps, and what the machine can do at best.
#pragma once

#include "core/shape.h"

#include <chrono>
#include <string>
#include <vector>

namespace gradus::bench {

struct Options {
  double seconds = 8;
  int threads = 1;
  std::string data;  // folder of Fashion-MNIST, or ""
};

/// The distribution of one duration, in seconds.
struct Timing {
  double median = 0;
  double best = 0;
};

using Clock = std::chrono::steady_clock;
inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Collects durations until the time is up; the first three are not counted.
class Stopwatch {
 public:
  explicit Stopwatch(double seconds) : seconds_(seconds) {}

  /// Whether there is time for one more step; at least three are always measured.
  bool running() const { return durations_.size() < 3 || seconds_since(start_) < seconds_; }
  void add(double duration);
  Timing timing() const;

 private:
  double seconds_;
  Clock::time_point start_;
  int warm_ = 0;
  std::vector<double> durations_;
};

/// Runs `step` again and again for `seconds`.
template <class Step>
Timing measure(double seconds, Step&& step) {
  Stopwatch watch(seconds);
  while (watch.running()) {
    const auto start = Clock::now();
    step();
    watch.add(seconds_since(start));
  }
  return watch.timing();
}

/// Floating-point operations a second that `threads` threads reach in a loop of independent fused multiply-adds on
/// registers: f32, a multiply-add counts as two.
double peak_flops(int threads);

/// Bytes a second that the kernel threads move when they update three arrays of `count` floats from a fourth in place,
/// as Adam does: 16 bytes read and 12 written for each.
double update_bandwidth(Index count);

/// What the process held in memory at most, in bytes.
Index peak_bytes();

}  // namespace gradus::bench
