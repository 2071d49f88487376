// The thread pool under parallel_for (docs/adr/0004-threads-and-determinism.md says why it is our own).
//
// One job at a time. Chunks are handed out by a compare-and-swap on `ticket_`, which holds the number of the job and
// the next chunk, so a worker that wakes up late can never take a chunk of a job it has not seen. The caller works as
// well and at the end waits for chunks that a worker has begun, never for a worker that has not. A call that finds the
// pool taken, by another thread or by a parallel_for further up its own stack, runs its chunks itself.
#include "core/parallel.h"

#include "core/error.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace gradus {
namespace {

constexpr int kMaxThreads = 1024;
// Longer than the serial stretches between the kernels of a training step, shorter than anyone else would miss.
constexpr auto kSpin = std::chrono::microseconds(40);

#if defined(__SSE__)
constexpr std::uint32_t kFlushBits = 0x8040;  // flush results to zero, read denormals as zero
constexpr std::uint32_t kStickyBits = 0x3f;   // exceptions seen so far: no mode, left alone
std::uint32_t float_mode() { return __builtin_ia32_stmxcsr() & ~kStickyBits; }
void set_float_mode(std::uint32_t mode) { __builtin_ia32_ldmxcsr(mode | (__builtin_ia32_stmxcsr() & kStickyBits)); }
void pause() { __builtin_ia32_pause(); }
#else
constexpr std::uint32_t kFlushBits = 0;
std::uint32_t float_mode() { return 0; }
void set_float_mode(std::uint32_t) {}
void pause() { std::this_thread::yield(); }
#endif

int processors() {
  cpu_set_t set;
  const int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
  const int count = allowed > 0 ? allowed : static_cast<int>(std::thread::hardware_concurrency());
  return count < 1 ? 1 : count > kMaxThreads ? kMaxThreads : count;
}

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const long wanted = std::strtol(text, nullptr, 10);  // "4,2" is legal there: four on the outermost level
    if (wanted >= 1 && wanted <= kMaxThreads) return static_cast<int>(wanted);
  }
  return processors();
}

std::atomic<int>& thread_setting() {
  static std::atomic<int> threads{default_threads()};
  return threads;
}

/// Returns once `word` differs from `value`: looks for a moment, then sleeps until notified.
void wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t value, bool spin) {
  if (spin) {
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 16; ++i) {
        if (word.load(std::memory_order_acquire) != value) return;
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
  }
  word.wait(value, std::memory_order_acquire);
}

class Pool {
 public:
  bool try_acquire() { return !taken_.exchange(true, std::memory_order_acquire); }
  void release() { taken_.store(false, std::memory_order_release); }

  /// Runs all chunks. The pool must be acquired.
  void run(std::int64_t size, std::int64_t chunk, std::uint32_t chunks, int threads, detail::RangeFunction function,
           void* context) {
    start_workers(threads - 1);
    spin_.store(threads <= processors_, std::memory_order_relaxed);
    active_.store(threads - 1, std::memory_order_relaxed);

    // Closing the ticket first makes every compare-and-swap fail that looked at a mix of the old job and the new one.
    const std::uint64_t job = std::uint64_t{++job_} << 32;
    ticket_.store(job | kClosed, std::memory_order_release);
    function_.store(function, std::memory_order_release);
    context_.store(context, std::memory_order_release);
    size_.store(size, std::memory_order_release);
    chunk_.store(chunk, std::memory_order_release);
    mode_.store(float_mode(), std::memory_order_release);
    unfinished_.store(chunks, std::memory_order_relaxed);
    ticket_.store(job, std::memory_order_release);
    wake_.store(job_, std::memory_order_release);
    wake_.notify_all();

    take_chunks();
    while (const std::uint32_t left = unfinished_.load(std::memory_order_acquire))
      wait_while(unfinished_, left, spin_.load(std::memory_order_relaxed));

    failed_.store(false, std::memory_order_relaxed);
    if (std::exception_ptr error = std::exchange(error_, nullptr)) {
      release();
      std::rethrow_exception(error);
    }
    release();
  }

 private:
  static constexpr std::uint64_t kClosed = 0xffffffff;

  /// Workers start when first needed and live as long as the process. They are detached and the pool is never
  /// destroyed, so leaving main() neither waits for them nor takes anything away from them.
  void start_workers(int wanted) {
    try {
      while (workers_ < wanted) {
        std::thread([this, number = workers_] { work(number); }).detach();
        ++workers_;
      }
    } catch (const std::system_error&) {
      // No more threads to be had. Those there are, at the least the caller, do all the work.
    }
  }

  void work(int number) {
    std::uint32_t seen = 0;
    for (;;) {
      wait_while(wake_, seen, seen > 0 && spin_.load(std::memory_order_relaxed));
      seen = wake_.load(std::memory_order_acquire);
      if (number < active_.load(std::memory_order_relaxed)) take_chunks();
    }
  }

  void take_chunks() {
    std::uint32_t done = 0;
    std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
    for (;;) {
      const auto function = function_.load(std::memory_order_acquire);
      void* const context = context_.load(std::memory_order_acquire);
      const std::int64_t size = size_.load(std::memory_order_acquire);
      const std::int64_t chunk = chunk_.load(std::memory_order_acquire);
      const std::uint32_t mode = mode_.load(std::memory_order_acquire);
      const std::uint64_t position = ticket & kClosed;
      const std::int64_t begin = static_cast<std::int64_t>(position) * chunk;
      if (position == kClosed || begin >= size) break;
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel, std::memory_order_acquire))
        continue;
      // The chunk is ours. A worker computes in the caller's mode: whether denormals are flushed must not depend on who
      // takes which chunk.
      if (float_mode() != mode) set_float_mode(mode);
      if (!failed_.load(std::memory_order_relaxed)) {
        try {
          function(context, begin, begin + chunk < size ? begin + chunk : size);
        } catch (...) {
          keep_error();
        }
      }
      ++done;
      ++ticket;
    }
    if (done > 0 && unfinished_.fetch_sub(done, std::memory_order_acq_rel) == done) unfinished_.notify_all();
  }

  /// The first exception goes to the caller; chunks not yet begun are skipped.
  void keep_error() {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
    failed_.store(true, std::memory_order_relaxed);
  }

  const int processors_ = processors();
  std::atomic<bool> taken_{false};

  // Owned by whoever acquired the pool.
  int workers_ = 0;
  std::uint32_t job_ = 0;

  // The job. Atomics, because a late worker may look at it while it is being replaced.
  std::atomic<detail::RangeFunction> function_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<std::int64_t> size_{0};
  std::atomic<std::int64_t> chunk_{0};
  std::atomic<std::uint32_t> mode_{0};
  std::atomic<int> active_{0};  // workers beyond this number stay out
  std::atomic<bool> spin_{false};

  std::atomic<bool> failed_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;

  // Written by all threads, so each on a cache line of its own.
  alignas(64) std::atomic<std::uint64_t> ticket_{kClosed};  // job << 32 | next chunk
  alignas(64) std::atomic<std::uint32_t> wake_{0};          // the latest job; workers sleep on it
  alignas(64) std::atomic<std::uint32_t> unfinished_{0};    // chunks; the caller sleeps on it
};

std::atomic<Pool*> current_pool{nullptr};

Pool& pool() {
  // Deliberately never destroyed. After fork() the child has no workers, whatever state the old pool was in: it gets a
  // new one.
  static const bool ready = [] {
    current_pool.store(new Pool, std::memory_order_release);
    pthread_atfork(nullptr, nullptr, [] { current_pool.store(new Pool, std::memory_order_release); });
    return true;
  }();
  static_cast<void>(ready);
  return *current_pool.load(std::memory_order_acquire);
}

}  // namespace

int num_threads() { return thread_setting().load(std::memory_order_relaxed); }

void set_num_threads(int threads) {
  GRADUS_CHECK(threads >= 1 && threads <= kMaxThreads, "set_num_threads: needs 1 to " + std::to_string(kMaxThreads) +
                                                           " threads, got " + std::to_string(threads));
  thread_setting().store(threads, std::memory_order_relaxed);
}

void flush_denormals() { set_float_mode(float_mode() | kFlushBits); }

namespace detail {

void run_chunks(std::int64_t size, std::int64_t chunk, RangeFunction function, void* context) {
  GRADUS_CHECK(chunk > 0, "parallel_for: the chunk must be positive, got " + std::to_string(chunk));
  const std::int64_t chunks = size / chunk + (size % chunk != 0);
  const int threads = num_threads();
  constexpr std::int64_t kMaxChunks = 0xfffffffe;  // they are counted in 32 bits
  if (threads > 1 && chunks > 1 && chunks <= kMaxChunks) {
    Pool& p = pool();
    if (p.try_acquire()) return p.run(size, chunk, static_cast<std::uint32_t>(chunks), threads, function, context);
  }
  for (std::int64_t begin = 0; begin < size; begin += chunk)
    function(context, begin, size - begin < chunk ? size : begin + chunk);
}

}  // namespace detail
}  // namespace gradus
