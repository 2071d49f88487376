// exp, log, tanh, sigmoid, erf and softplus for loops over floats: no branches, no tables, no calls, so the compiler
// turns a plain loop over them into vector code, and the vector body and the scalar tail give the same bits. double
// takes the C library's functions: it is there to check, not to hurry.
//
// The float versions are right at 0, infinities, NaN, overflow and underflow, and within 1 ulp (exp, log), 2 (softplus,
// erf) or 2.5 (tanh, sigmoid) elsewhere; tests/core/math_test.cpp sweeps the floats and holds them to it. The
// polynomials are least-maximum fits over the reduced range.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace gradus::math {

namespace detail {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
// 1.5 * 2^23: adding it to a small float rounds that to an integer, found in the low bits of the sum.
inline constexpr float kRounder = 0x1.8p23F;
inline constexpr float kLn2High =
    0x1.62e4p-1F;  // 15 bits, so products with exponents are exact; the rest of ln 2 follows
inline constexpr float kLn2Low = 0x1.7f7d1cp-20F;

/// a * b + c, in one rounding where the machine can: the same choice for vector and scalar code.
inline float fma(float a, float b, float c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

/// 2^n for n in -126 .. 127.
inline float power_of_two(std::int32_t n) { return std::bit_cast<float>(static_cast<std::uint32_t>(n + 127) << 23); }

/// x = n ln 2 + r with |r| at most about ln 2 / 2. |x| must be below 2^21.
struct Reduced {
  std::int32_t n;
  float r;
};
inline Reduced reduce(float x) {
  const float shifted = fma(x, 0x1.715476p0F, kRounder);
  const float n = shifted - kRounder;
  // Unsigned, because for NaN this is any number at all.
  const auto bits = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(kRounder);
  return {static_cast<std::int32_t>(bits), fma(n, -kLn2Low, fma(n, -kLn2High, x))};
}

/// exp(r) - 1 for reduced r.
inline float expm1_reduced(float r) {
  float p = 1.98458845e-4F;
  p = fma(p, r, 1.39407197e-3F);
  p = fma(p, r, 8.33338965e-3F);
  p = fma(p, r, 4.16663587e-2F);
  p = fma(p, r, 1.66666657e-1F);
  p = fma(p, r, 0.5F);
  return fma(p * r, r, r);
}

/// log(1 + f) + e ln 2 for 1 + f in sqrt(1/2) .. sqrt(2).
inline float log_reduced(float f, float e) {
  float p = 6.74663857e-2F;
  p = fma(p, f, -1.16756514e-1F);
  p = fma(p, f, 1.18881628e-1F);
  p = fma(p, f, -1.24055892e-1F);
  p = fma(p, f, 1.42195523e-1F);
  p = fma(p, f, -1.66679963e-1F);
  p = fma(p, f, 2.00021192e-1F);
  p = fma(p, f, -2.50000089e-1F);
  p = fma(p, f, 3.33333135e-1F);
  const float square = f * f;
  const float tail = fma(p * f, square, fma(e, kLn2Low, -0.5F * square));
  return fma(e, kLn2High, f + tail);
}

inline float exp(float x) {
  x = x < -104.0F ? -104.0F : x;  // comparisons with NaN are false, so it stays
  x = x > 89.0F ? 89.0F : x;
  const auto [n, r] = reduce(x);
  // In two steps, so that results below the normal range round once and those above it become infinite.
  const std::int32_t half = n >> 1;
  return (expm1_reduced(r) + 1.0F) * power_of_two(half) * power_of_two(n - half);
}

/// For x in -30 .. 30, or NaN.
inline float expm1(float x) {
  const auto [n, r] = reduce(x);
  const float scale = power_of_two(n);
  return fma(expm1_reduced(r), scale, scale - 1.0F);
}

inline float log(float x) {
  const bool tiny = x < std::numeric_limits<float>::min();
  const float scaled = tiny ? x * 0x1p23F : x;
  const auto bits = std::bit_cast<std::uint32_t>(scaled);
  const std::int32_t e = static_cast<std::int32_t>(bits - 0x3f3504f3U) >> 23;  // sqrt(1/2) starts an octave
  const float mantissa = std::bit_cast<float>(bits - (static_cast<std::uint32_t>(e) << 23));
  float y = log_reduced(mantissa - 1.0F, static_cast<float>(e) - (tiny ? 23.0F : 0.0F));
  y = x < kInfinity ? y : x;  // infinity and NaN
  y = x == 0.0F ? -kInfinity : y;
  return x < 0.0F ? std::numeric_limits<float>::quiet_NaN() : y;
}

/// log(1 + x) for x in 0 .. 1, or NaN.
inline float log1p(float x) {
  const bool large = x > 0.41421356F;
  return log_reduced(large ? 0.5F * (x - 1.0F) : x, large ? 1.0F : 0.0F);
}

inline float tanh(float x) {
  float a = std::fabs(x);
  a = a > 10.0F ? 10.0F : a;  // 1 to the last bit from 9.01 on
  const float e = expm1(2.0F * a);
  return std::copysign(e / (e + 2.0F), x);
}

inline float sigmoid(float x) {
  const float e = exp(-std::fabs(x));  // at most 1
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

inline float softplus(float x) { return (x < 0.0F ? 0.0F : x) + log1p(exp(-std::fabs(x))); }

inline float erf(float x) {
  float a = std::fabs(x);
  const float square = a * a;
  // Below 0.92: x + x P(x^2).
  float p = 8.38243213e-5F;
  p = fma(p, square, -8.14560917e-4F);
  p = fma(p, square, 5.2012871e-3F);
  p = fma(p, square, -2.68595014e-2F);
  p = fma(p, square, 1.12836972e-1F);
  p = fma(p, square, -3.76126349e-1F);
  p = fma(p, square, 1.28379226e-1F);
  const float near = fma(p, x, x);
  // Above: 1 - exp(-x Q(x)), 1 to the last bit from 3.92 on.
  a = a > 4.0F ? 4.0F : a;
  float q = 1.12312764e-5F;
  q = fma(q, a, -3.22803564e-4F);
  q = fma(q, a, 3.642458e-3F);
  q = fma(q, a, -2.37620603e-2F);
  q = fma(q, a, 1.06236875e-1F);
  q = fma(q, a, 6.35151327e-1F);
  q = fma(q, a, 1.12864852F);
  const float far = std::copysign(-expm1(-a * q), x);
  return std::fabs(x) < 0.92F ? near : far;
}

}  // namespace detail

template <class T>
T exp(T x) {
  if constexpr (std::is_same_v<T, float>)
    return detail::exp(x);
  else
    return std::exp(x);
}

template <class T>
T log(T x) {
  if constexpr (std::is_same_v<T, float>)
    return detail::log(x);
  else
    return std::log(x);
}

template <class T>
T tanh(T x) {
  if constexpr (std::is_same_v<T, float>)
    return detail::tanh(x);
  else
    return std::tanh(x);
}

/// 1 / (1 + exp(-x)), without overflow.
template <class T>
T sigmoid(T x) {
  if constexpr (std::is_same_v<T, float>) {
    return detail::sigmoid(x);
  } else {
    const T e = std::exp(-std::abs(x));
    return (x < 0 ? e : T{1}) / (T{1} + e);
  }
}

/// log(1 + exp(x)), without overflow.
template <class T>
T softplus(T x) {
  if constexpr (std::is_same_v<T, float>)
    return detail::softplus(x);
  else
    return (x < 0 ? T{0} : x) + std::log1p(std::exp(-std::abs(x)));
}

template <class T>
T erf(T x) {
  if constexpr (std::is_same_v<T, float>)
    return detail::erf(x);
  else
    return std::erf(x);
}

}  // namespace gradus::math
