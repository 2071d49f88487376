// Philox4x32-10 itself, inline: a bijection of a 128-bit counter under a 64-bit key, built from 32 x 32 -> 64 bit
// products.
//
// For bulk draws inside the library; users have core/random.h. Block n of the stream with key k is
//   philox_block(k, n) = philox4x32({low(n), high(n), 0, 0}, {low(k), high(k)}),
// four independent uniform words. Counters whose last word is not 0 are kept for deriving keys (Rng::split).
#pragma once

#include <array>
#include <cstdint>

namespace gradus::detail {

using PhiloxBlock = std::array<std::uint32_t, 4>;

/// Salmon et al. 2011, section 3.3: ten rounds, the key growing by the Weyl constants (golden ratio, sqrt 3 - 1).
inline PhiloxBlock philox(PhiloxBlock x, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53U} * x[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57U} * x[2];
    x = {static_cast<std::uint32_t>(b >> 32) ^ x[1] ^ key0, static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ x[3] ^ key1, static_cast<std::uint32_t>(a)};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return x;
}

inline PhiloxBlock philox_block(std::uint64_t key, std::uint64_t counter) {
  return philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0},
                static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
}

/// 64 bits of a block: words 0 and 1 (half 0), or 2 and 3 (half 1), the lower word first.
inline std::uint64_t philox_u64(const PhiloxBlock& block, int half) {
  const auto i = static_cast<std::size_t>(2 * half);
  return std::uint64_t{block[i + 1]} << 32 | block[i];
}

/// [0, 1) in steps of 2^-53: every value is exact.
inline double unit_double(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

}  // namespace gradus::detail
