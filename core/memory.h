// Memory: a pool of size classes under every tensor, and an account of who uses it for what.
//
// A training step repeats the same sizes, so freed blocks are kept by size class (per thread, with a shared overflow)
// and a step in steady state asks the system for nothing. Blocks are 64-byte aligned.
#pragma once

#include "core/reference_count.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace gradus {

/// What a storage is for. Every storage carries exactly one.
enum class MemTag : std::uint8_t { parameter, gradient, optimizer, activation, temporary, data };
inline constexpr int kMemTags = 6;

namespace memory {

/// Bytes of tensor data, headers not counted. `live` is exact; `peak` may miss up to 4 KiB per thread, because threads
/// report small changes in bulk.
struct Usage {
  std::array<std::int64_t, kMemTags> live{};  // indexed by MemTag
  std::array<std::int64_t, kMemTags> peak{};
  std::int64_t total_live = 0;
  std::int64_t total_peak = 0;          // of the sum: at most the sum of the peaks
  std::int64_t reserved = 0;            // taken from the system, in use or cached
  std::int64_t system_allocations = 0;  // how often the pool went to the system since the program started

  std::int64_t live_of(MemTag tag) const { return live[static_cast<std::size_t>(tag)]; }
  std::int64_t peak_of(MemTag tag) const { return peak[static_cast<std::size_t>(tag)]; }
};

/// The account of the whole process.
Usage usage();

/// Lets the peaks start again from what is live now.
void reset_peak();

/// usage() as a small table to print.
std::string report();

/// Returns this thread's cached blocks and the shared ones to the system.
void release_cached();

/// While it lives, storages made by this thread get `tag` instead of `temporary`.
class TagScope {
 public:
  explicit TagScope(MemTag tag);
  ~TagScope();
  TagScope(const TagScope&) = delete;
  TagScope& operator=(const TagScope&) = delete;

 private:
  MemTag before_;
};

}  // namespace memory

namespace detail {

/// A 64-byte aligned block of at least `bytes` from the pool; throws Error naming the size when the system has none.
void* pool_allocate(std::size_t bytes);
void pool_free(void* block, std::size_t bytes) noexcept;

/// Reference-counted bytes under one or several tensors. The data follow the header in the same block.
struct alignas(64) Storage {
  ReferenceCount references;
  MemTag tag;
  std::uint32_t version = 0;          // how often the data changed after their making
  const char* last_writer = nullptr;  // who changed them last: a string literal
  std::size_t bytes;

  void* data() { return this + 1; }
  const void* data() const { return this + 1; }

  static Storage* make(std::size_t bytes);  // data not initialized
  void retain() { references.add(); }
  void release() noexcept {
    if (references.drop()) destroy();
  }
  void retag(MemTag to);

 private:
  Storage(std::size_t size, MemTag t) : tag(t), bytes(size) {}
  void destroy() noexcept;
};

}  // namespace detail
}  // namespace gradus
