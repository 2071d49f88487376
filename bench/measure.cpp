#include "bench/measure.h"

#include "core/parallel.h"
#include "core/tensor.h"

#include <algorithm>
#include <sys/resource.h>

namespace gradus::bench {
namespace {

#if defined(__AVX512F__)
typedef float Vector __attribute__((vector_size(64)));
Vector multiply_add(Vector a, Vector b, Vector c) { return __builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4); }
#elif defined(__FMA__)
typedef float Vector __attribute__((vector_size(32)));
Vector multiply_add(Vector a, Vector b, Vector c) { return __builtin_ia32_vfmaddps256(a, b, c); }
#else
typedef float Vector __attribute__((vector_size(16)));
Vector multiply_add(Vector a, Vector b, Vector c) { return a * b + c; }
#endif

constexpr int kChains = 12;  // enough to hide the latency of two units, few enough for 16 registers
constexpr int kRounds = 50000;

/// Returns something that depends on every operation.
float multiply_add_loop(float seed) {
  Vector sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = Vector{} + seed * static_cast<float>(i);
  Vector factor = Vector{} + 0.999F, addend = Vector{} + seed;
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sum[i] = multiply_add(sum[i], factor, addend);
    asm volatile("" : "+x"(factor));  // keeps the rounds apart
  }
  float total = 0;
  for (int i = 0; i < kChains; ++i) total += sum[i][0];
  return total;
}

/// The least duration found in half a second: what happens when nobody disturbs.
template <class Work>
double best_of(const Work& work) {
  double best = 1e30;
  for (const auto begin = Clock::now(); seconds_since(begin) < 0.5;) {
    const auto start = Clock::now();
    work();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

}  // namespace

void Stopwatch::add(double duration) {
  if (warm_ < 3) {
    if (++warm_ == 3) start_ = Clock::now();
  } else {
    durations_.push_back(duration);
  }
}

Timing Stopwatch::timing() const {
  auto sorted = durations_;
  std::sort(sorted.begin(), sorted.end());
  return {sorted[sorted.size() / 2], sorted.front()};
}

double peak_flops(int threads) {
  volatile float sink = 0;
  const double seconds = best_of([&] {
    parallel_for(threads, 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) sink = multiply_add_loop(static_cast<float>(i) * 1e-3F);
    });
  });
  return 2.0 * static_cast<double>(sizeof(Vector) / sizeof(float)) * kChains * kRounds * threads / seconds;
}

double update_bandwidth(Index count) {
  const Tensor gradient = ones({count});
  Tensor weight = ones({count}), first = zeros({count}), second = zeros({count});
  const double seconds = best_of([&] {
    parallel_for(count, 32768, [&](Index begin, Index end) {
      const float* __restrict g = gradient.ptr<float>();
      float* __restrict w = weight.mutable_ptr<float>();
      float* __restrict m = first.mutable_ptr<float>();
      float* __restrict v = second.mutable_ptr<float>();
      for (Index i = begin; i < end; ++i) {
        m[i] = 0.5F * (m[i] + g[i]);
        v[i] = 0.5F * (v[i] + g[i]);
        w[i] -= m[i] + v[i];
      }
    });
  });
  return 28.0 * static_cast<double>(count) / seconds;
}

Index peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Index{usage.ru_maxrss} * 1024;
}

}  // namespace gradus::bench
