#include "core/memory.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace gradus {
namespace {

// --- size classes: multiples of 64 up to 1 KiB, then four steps per doubling -----------------------------------------

constexpr std::size_t kAlign = 64;
constexpr int kClasses = 16 + 4 * 36;  // up to 64 TiB
constexpr std::size_t kSmall = 1024;   // blocks up to this size are carved from slabs
constexpr std::size_t kSlab = std::size_t{256} << 10;
constexpr std::size_t kCacheBytes = std::size_t{1}
                                    << 20;  // a thread keeps this much of one class, and at least four blocks

int class_of(std::size_t bytes) {
  const std::size_t last = bytes == 0 ? 0 : (bytes - 1) / kAlign;  // number of 64-byte units, less one
  if (last < 16) return static_cast<int>(last);
  const int log = static_cast<int>(std::bit_width(last)) - 1;
  return 16 + (log - 4) * 4 + static_cast<int>(last >> (log - 2)) - 4;
}

constexpr std::size_t class_bytes(int size_class) {
  if (size_class < 16) return static_cast<std::size_t>(size_class + 1) * kAlign;
  const int log = (size_class - 16) / 4 + 4;
  return static_cast<std::size_t>((size_class - 16) % 4 + 5) << (log - 2) << 6;
}

struct FreeBlock {
  FreeBlock* next;
};

// AddressSanitizer sees a block as its user does: freed ones (beyond the link) and the rounding are out of bounds.
void mark_free([[maybe_unused]] void* block, [[maybe_unused]] std::size_t capacity) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(block) + sizeof(FreeBlock), capacity - sizeof(FreeBlock));
#endif
}
void mark_used([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(block, bytes);
#endif
}

// --- shared state; never destroyed, so that tensors in statics may outlive everything
// ---------------------------------

struct ThreadState;

struct Shared {
  std::mutex mutex;  // guards lists, counts and threads
  FreeBlock* lists[kClasses] = {};
  std::vector<ThreadState*>* threads = nullptr;
  std::atomic<std::int64_t> live[kMemTags + 1] = {};  // the last one is the total
  std::atomic<std::int64_t> peak[kMemTags + 1] = {};
  std::atomic<std::int64_t> reserved{0};
  std::atomic<std::int64_t> system_allocations{0};
};
constinit Shared shared;

// Only the owning thread writes; `pending` is read by usage() of any thread.
struct ThreadState {
  FreeBlock* lists[kClasses];
  std::uint32_t counts[kClasses];
  std::atomic<std::int64_t> pending[kMemTags];
  MemTag tag;
  enum class Life : std::uint8_t { unborn, alive, dead } life;
};
constinit thread_local ThreadState local{{}, {}, {}, MemTag::temporary, ThreadState::Life::unborn};

constexpr std::int64_t kFlushBytes = 4096;

void raise_peak(int tag, std::int64_t value) {
  std::int64_t seen = shared.peak[tag].load(std::memory_order_relaxed);
  while (value > seen && !shared.peak[tag].compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

void flush_account(ThreadState& state) {
  std::int64_t total = 0;
  for (int tag = 0; tag < kMemTags; ++tag) {
    const std::int64_t delta = state.pending[tag].load(std::memory_order_relaxed);
    if (delta == 0) continue;
    state.pending[tag].store(0, std::memory_order_relaxed);
    raise_peak(tag, shared.live[tag].fetch_add(delta, std::memory_order_relaxed) + delta);
    total += delta;
  }
  if (total != 0) raise_peak(kMemTags, shared.live[kMemTags].fetch_add(total, std::memory_order_relaxed) + total);
}

void account(MemTag tag, std::int64_t bytes) {
  auto& pending = local.pending[static_cast<std::size_t>(tag)];
  const std::int64_t sum = pending.load(std::memory_order_relaxed) + bytes;
  pending.store(sum, std::memory_order_relaxed);
  if (sum >= kFlushBytes || sum <= -kFlushBytes) flush_account(local);
}

void push_shared(int size_class, FreeBlock* first, FreeBlock* last) {
  const std::lock_guard lock(shared.mutex);
  last->next = shared.lists[size_class];
  shared.lists[size_class] = first;
}

void return_cache(ThreadState& state) {
  for (int c = 0; c < kClasses; ++c) {
    FreeBlock* first = std::exchange(state.lists[c], nullptr);
    state.counts[c] = 0;
    if (!first) continue;
    FreeBlock* last = first;
    while (last->next) last = last->next;
    push_shared(c, first, last);
  }
}

// Hands a thread's cache and account over when the thread ends.
struct ThreadEnd {
  ThreadEnd() {
    local.life = ThreadState::Life::alive;
    const std::lock_guard lock(shared.mutex);
    if (!shared.threads) shared.threads = new std::vector<ThreadState*>;
    shared.threads->push_back(&local);
  }
  ~ThreadEnd() {
    local.life = ThreadState::Life::dead;
    return_cache(local);
    const std::lock_guard lock(shared.mutex);
    flush_account(local);
    std::erase(*shared.threads, &local);
  }
};

void enlist_thread() {
  if (local.life == ThreadState::Life::unborn) thread_local const ThreadEnd end;
}

// How many blocks of each class a thread keeps for itself.
constexpr auto kCacheLimit = [] {
  std::array<std::uint32_t, kClasses> limit{};
  for (int c = 0; c < kClasses; ++c)
    limit[static_cast<std::size_t>(c)] =
        static_cast<std::uint32_t>(std::max<std::size_t>(4, kCacheBytes / class_bytes(c)));
  return limit;
}();
std::uint32_t cache_limit(int size_class) { return kCacheLimit[static_cast<std::size_t>(size_class)]; }

void* system_allocate(std::size_t bytes) {
  void* block = std::aligned_alloc(kAlign, bytes);
  if (!block) {
    memory::release_cached();
    block = std::aligned_alloc(kAlign, bytes);
  }
  GRADUS_CHECK(block,
               fmt::format("memory: the system has no {} bytes left ({} bytes of tensors are live)\n  hint: a smaller "
                           "batch or model needs less; memory::report() shows what is used for what",
                           bytes, memory::usage().total_live));
  shared.reserved.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
  shared.system_allocations.fetch_add(1, std::memory_order_relaxed);
  return block;
}

// The thread's list of this class is empty: refill it from the shared list, else from the system.
void* take_from_others(int size_class) {
  enlist_thread();
  const std::size_t bytes = class_bytes(size_class);
  {
    const std::lock_guard lock(shared.mutex);
    if (FreeBlock* first = shared.lists[size_class]) {
      FreeBlock* last = first;
      std::uint32_t taken = 1;
      const std::uint32_t wanted = std::max(cache_limit(size_class) / 4, 1U);
      while (taken < wanted && last->next) {
        last = last->next;
        ++taken;
      }
      shared.lists[size_class] = std::exchange(last->next, nullptr);
      if (local.life == ThreadState::Life::alive) {
        local.lists[size_class] = first->next;
        local.counts[size_class] = taken - 1;
      } else if (first->next) {  // a dying thread keeps no cache
        last->next = shared.lists[size_class];
        shared.lists[size_class] = first->next;
      }
      return first;
    }
  }
  if (bytes > kSmall) return system_allocate(bytes);

  // A slab lives as long as the process: its blocks only change lists.
  char* slab = static_cast<char*>(system_allocate(kSlab));
  FreeBlock* list = nullptr;
  FreeBlock* last = nullptr;
  std::uint32_t count = 0;
  for (std::size_t at = kSlab / bytes * bytes; at > bytes;) {
    at -= bytes;
    auto* block = reinterpret_cast<FreeBlock*>(slab + at);
    block->next = list;
    list = block;
    if (!last) last = block;
    mark_free(block, bytes);
    ++count;
  }
  if (local.life == ThreadState::Life::alive) {
    local.lists[size_class] = list;
    local.counts[size_class] = count;
  } else if (list) {
    push_shared(size_class, list, last);
  }
  return slab;
}

// The rare ends of pool_allocate and pool_free. Out of line: inlined, they would make the common ends save registers.

[[gnu::noinline]] void* refill(int size_class, std::size_t bytes) {
  void* block = take_from_others(size_class);
  mark_used(block, bytes);
  return block;
}

/// The thread has more blocks of this class than it may keep: half of them go to the other threads.
[[gnu::noinline]] void spill(int size_class) {
  const std::uint32_t half = cache_limit(size_class) / 2;
  FreeBlock* first = local.lists[size_class];
  FreeBlock* last = first;
  for (std::uint32_t i = 1; i < half; ++i) last = last->next;
  local.lists[size_class] = last->next;
  local.counts[size_class] -= half;
  push_shared(size_class, first, last);
}

/// A block freed by a thread that has allocated nothing yet, or that is about to end.
[[gnu::noinline]] void free_unenlisted(FreeBlock* block, int size_class) {
  enlist_thread();
  if (local.life == ThreadState::Life::dead) return push_shared(size_class, block, block);
  block->next = local.lists[size_class];
  local.lists[size_class] = block;
  ++local.counts[size_class];
}

[[noreturn, gnu::noinline]] void fail_too_large(std::size_t bytes) {
  fail(fmt::format("memory: {} bytes in one piece is more than any machine has", bytes));
}

}  // namespace

namespace detail {

void* pool_allocate(std::size_t bytes) {
  const int c = class_of(bytes);
  if (c >= kClasses) [[unlikely]]
    fail_too_large(bytes);
  FreeBlock* block = local.lists[c];
  if (!block) [[unlikely]]
    return refill(c, bytes);
  local.lists[c] = block->next;
  --local.counts[c];
  mark_used(block, bytes);
  return block;
}

void pool_free(void* pointer, std::size_t bytes) noexcept {
  const int c = class_of(bytes);
  auto* block = static_cast<FreeBlock*>(pointer);
  mark_used(block, sizeof(FreeBlock));
  mark_free(block, class_bytes(c));
  if (local.life != ThreadState::Life::alive) [[unlikely]]
    return free_unenlisted(block, c);
  block->next = local.lists[c];
  local.lists[c] = block;
  if (++local.counts[c] > cache_limit(c)) [[unlikely]]
    spill(c);
}

Storage* Storage::make(std::size_t bytes) {
  auto* storage = new (pool_allocate(sizeof(Storage) + bytes)) Storage(bytes, local.tag);
  account(storage->tag, static_cast<std::int64_t>(bytes));
  return storage;
}

void Storage::destroy() noexcept {
  account(tag, -static_cast<std::int64_t>(bytes));
  pool_free(this, sizeof(Storage) + bytes);
}

void Storage::retag(MemTag to) {
  if (tag == to) return;
  account(tag, -static_cast<std::int64_t>(bytes));
  account(to, static_cast<std::int64_t>(bytes));
  tag = to;
}

}  // namespace detail

namespace memory {

Usage usage() {
  enlist_thread();
  const std::lock_guard lock(shared.mutex);
  flush_account(local);
  Usage result;
  std::array<std::int64_t, kMemTags> pending{};
  for (const ThreadState* state : *shared.threads)
    for (std::size_t tag = 0; tag < kMemTags; ++tag)
      pending[tag] += state->pending[tag].load(std::memory_order_relaxed);
  for (std::size_t tag = 0; tag < kMemTags; ++tag) {
    result.live[tag] = shared.live[tag].load(std::memory_order_relaxed) + pending[tag];
    result.peak[tag] = std::max(shared.peak[tag].load(std::memory_order_relaxed), result.live[tag]);
    result.total_live += result.live[tag];
  }
  result.total_peak = std::max(shared.peak[kMemTags].load(std::memory_order_relaxed), result.total_live);
  result.reserved = shared.reserved.load(std::memory_order_relaxed);
  result.system_allocations = shared.system_allocations.load(std::memory_order_relaxed);
  return result;
}

void reset_peak() {
  flush_account(local);
  for (int tag = 0; tag <= kMemTags; ++tag)
    shared.peak[tag].store(shared.live[tag].load(std::memory_order_relaxed), std::memory_order_relaxed);
}

std::string report() {
  constexpr const char* kNames[kMemTags] = {"parameter", "gradient", "optimizer", "activation", "temporary", "data"};
  const Usage now = usage();
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  std::string text = fmt::format("{:<12}{:>12}{:>12}\n", "memory, MiB", "live", "peak");
  for (std::size_t tag = 0; tag < kMemTags; ++tag)
    text += fmt::format("{:<12}{:>12.2f}{:>12.2f}\n", kNames[tag], mib(now.live[tag]), mib(now.peak[tag]));
  text += fmt::format("{:<12}{:>12.2f}{:>12.2f}\n", "total", mib(now.total_live), mib(now.total_peak));
  text += fmt::format("{:<12}{:>12.2f}\n", "reserved", mib(now.reserved));
  return text;
}

void release_cached() {
  return_cache(local);
  const std::lock_guard lock(shared.mutex);
  for (int c = 0; c < kClasses; ++c) {
    const std::size_t bytes = class_bytes(c);
    if (bytes <= kSmall) continue;
    while (FreeBlock* block = shared.lists[c]) {
      shared.lists[c] = block->next;
      mark_used(block, bytes);
      std::free(block);
      shared.reserved.fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
    }
  }
}

TagScope::TagScope(MemTag tag) : before_(local.tag) { local.tag = tag; }
TagScope::~TagScope() { local.tag = before_; }

}  // namespace memory
}  // namespace gradus
