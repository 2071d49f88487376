// Scalar draws. Each takes whole blocks of its stream (core/philox.h), so the state stays one counter:
//   next_u32  word 0 of one block
//   uniform   the upper 53 bits of half 0 of one block
//   below     half 0 of one block; of another one in the rare case that would bias the result
//   normal    both halves of one block
#include "core/random.h"

#include "core/error.h"
#include "core/philox.h"

#include <cmath>
#include <numbers>

namespace gradus {

namespace {

// The last counter word separates what a key is used for; 0 is drawing.
constexpr std::uint32_t kSplitByName = 1;
constexpr std::uint32_t kSplitByIndex = 2;

// A child's key: half 0 of a block that no draw from the parent can reach.
std::uint64_t derive(std::uint64_t key, std::uint64_t input, std::uint32_t length, std::uint32_t purpose) {
  const auto block =
      detail::philox({static_cast<std::uint32_t>(input), static_cast<std::uint32_t>(input >> 32), length, purpose},
                     static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
  return detail::philox_u64(block, 0);
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  return detail::philox(counter, key[0], key[1]);
}

Rng Rng::split(std::string_view name) const {
  // The name goes in by eight bytes at a time, least significant first, padded with zeros; each step's key is the
  // output of the one before. The length in every step keeps "a" and "a\0" apart.
  const auto length = static_cast<std::uint32_t>(name.size());
  std::uint64_t key = key_;
  std::size_t at = 0;
  do {
    std::uint64_t chunk = 0;
    for (std::size_t i = 0; i < 8 && at + i < name.size(); ++i)
      chunk |= std::uint64_t{static_cast<unsigned char>(name[at + i])} << (8 * i);
    key = derive(key, chunk, length, kSplitByName);
    at += 8;
  } while (at < name.size());
  return Rng(key);
}

Rng Rng::split(std::uint64_t index) const { return Rng(derive(key_, index, 0, kSplitByIndex)); }

std::uint32_t Rng::next_u32() { return detail::philox_block(key_, counter_++)[0]; }

double Rng::uniform() { return detail::unit_double(detail::philox_u64(detail::philox_block(key_, counter_++), 0)); }

std::uint64_t Rng::below(std::uint64_t bound) {
  GRADUS_CHECK(bound > 0, "Rng::below: bound is 0; there is no integer in [0, 0)");
  // The 2^64 words are no whole number of rounds of `bound`: the first (2^64 mod bound) words are the surplus and are
  // drawn again. That remainder is below `bound`, so most words need no division for it.
  for (;;) {
    const std::uint64_t word = detail::philox_u64(detail::philox_block(key_, counter_++), 0);
    if (word >= bound || word >= (0 - bound) % bound) return word % bound;
  }
}

double Rng::normal() {
  // Box and Muller 1958. 1 - u lies in (0, 1], where the logarithm is finite.
  const auto block = detail::philox_block(key_, counter_++);
  const double radius = std::sqrt(-2 * std::log(1 - detail::unit_double(detail::philox_u64(block, 0))));
  return radius * std::cos(2 * std::numbers::pi * detail::unit_double(detail::philox_u64(block, 1)));
}

std::uint64_t Rng::reserve(std::uint64_t blocks) {
  const std::uint64_t first = counter_;
  counter_ += blocks;
  return first;
}

Rng Rng::restore(std::uint64_t key, std::uint64_t counter) {
  Rng rng(key);
  rng.counter_ = counter;
  return rng;
}

}  // namespace gradus
