// How many owners a shared object has.
#pragma once

#include <atomic>
#include <cstdint>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace gradus::detail {

#if __has_include(<sys/single_threaded.h>)
inline bool single_threaded() { return __libc_single_threaded; }
#else
inline bool single_threaded() { return false; }
#endif

/// A counter that starts at one owner. A locked instruction costs some five nanoseconds, and a recorded op has a dozen:
/// they are left out while the process has no second thread, as the C++ library's shared pointers do.
class ReferenceCount {
 public:
  void add() {
    if (single_threaded())
      count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    else
      count_.fetch_add(1, std::memory_order_relaxed);
  }

  /// Takes one owner away; true when it was the last. A sole owner cannot race with anybody, so it writes nothing.
  bool drop() {
    const std::int32_t count = count_.load(std::memory_order_acquire);
    if (count == 1) return true;
    if (single_threaded()) {
      count_.store(count - 1, std::memory_order_relaxed);
      return false;
    }
    return count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  bool is_one() const { return count_.load(std::memory_order_acquire) == 1; }

 private:
  std::atomic<std::int32_t> count_{1};
};

}  // namespace gradus::detail
