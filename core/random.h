// Random numbers from a counter: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
//
// The n-th number of a stream is a pure function of (key, n), so results do not depend on the number of threads, and
// the whole state to save is two integers.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace gradus {

/// Ten rounds of Philox4x32 on one counter block.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// A stream of random numbers: a value, cheap to copy (a copy repeats the same numbers), split by name into independent
/// streams, saved as (key, counter).
class Rng {
 public:
  explicit Rng(std::uint64_t seed = 0) : key_(seed) {}

  /// An independent stream for `name`; does not advance this one, so adding a consumer never changes the others.
  Rng split(std::string_view name) const;
  Rng split(std::uint64_t index) const;

  std::uint32_t next_u32();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform integer in [0, bound), unbiased. bound must be positive.
  std::uint64_t below(std::uint64_t bound);
  /// Standard normal (Box-Muller).
  double normal();

  /// Reserves `blocks` counter values (four u32 each) for a bulk draw and returns the first one.
  std::uint64_t reserve(std::uint64_t blocks);

  std::uint64_t key() const { return key_; }
  std::uint64_t counter() const { return counter_; }
  /// The stream at a saved place.
  static Rng restore(std::uint64_t key, std::uint64_t counter);

  friend bool operator==(const Rng&, const Rng&) = default;

 private:
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

}  // namespace gradus
