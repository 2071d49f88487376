// parallel_for: the one place that starts threads for kernels.
//
// Work is cut by its size alone, never by the number of threads, so results have the same bits for any number. The
// caller takes chunks itself and waits only for chunks that another thread has begun: beside a busy process a run slows
// in proportion (docs/adr/0004-threads-and-determinism.md).
#pragma once

#include <cstdint>
#include <type_traits>

namespace gradus {

/// How many threads kernels may use: set_num_threads, else OMP_NUM_THREADS, else the processors this process may run
/// on.
int num_threads();
/// At least 1; may exceed the number of processors.
void set_num_threads(int threads);

/// Flushes denormal floats to zero in this thread and every kernel thread (Adam's states and long runs slow tenfold
/// otherwise). Call once at the start of main; threads you start yourself must call it too.
void flush_denormals();

namespace detail {
using RangeFunction = void (*)(void* context, std::int64_t begin, std::int64_t end);
void run_chunks(std::int64_t size, std::int64_t chunk, RangeFunction function, void* context);
}  // namespace detail

/// Calls body(begin, end) over [0, size) in chunks of `chunk`, the last one shorter, possibly at the same time. One
/// chunk, one thread or a call from inside another parallel_for: runs here, in order. An exception reaches the caller.
template <class Body>
void parallel_for(std::int64_t size, std::int64_t chunk, Body&& body) {
  if (size <= 0) return;
  if (size <= chunk) {
    body(std::int64_t{0}, size);
    return;
  }
  using Function = std::remove_reference_t<Body>;
  detail::run_chunks(
      size, chunk,
      [](void* context, std::int64_t begin, std::int64_t end) { (*static_cast<Function*>(context))(begin, end); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace gradus
