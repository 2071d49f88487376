// parallel_for: every element once, whatever the number of threads, and calm in every odd situation.
#include "core/parallel.h"

#include "core/error.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using gradus::parallel_for;

namespace {

/// Sets the number of threads for one test.
class Threads {
 public:
  explicit Threads(int threads) : before_(gradus::num_threads()) { gradus::set_num_threads(threads); }
  ~Threads() { gradus::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

/// How often each of `size` elements was visited.
std::vector<int> visits(std::int64_t size, std::int64_t chunk) {
  std::vector<int> count(static_cast<std::size_t>(size), 0);
  parallel_for(size, chunk, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i) ++count[static_cast<std::size_t>(i)];
  });
  return count;
}

}  // namespace

TEST_CASE("parallel_for visits every element once", "[parallel]") {
  for (const int threads : {1, 2, 3, 7}) {
    const Threads scope(threads);
    for (const std::int64_t size : {1, 2, 7, 64, 1000, 4097})
      for (const std::int64_t chunk : {1, 3, 64, 1000, 5000}) {
        CAPTURE(threads, size, chunk);
        REQUIRE(visits(size, chunk) == std::vector<int>(static_cast<std::size_t>(size), 1));
      }
  }
}

TEST_CASE("parallel_for cuts by size, not by the number of threads", "[parallel]") {
  const auto chunks = [](int threads) {
    const Threads scope(threads);
    std::mutex mutex;
    std::set<std::pair<std::int64_t, std::int64_t>> seen;
    parallel_for(1001, 100, [&](std::int64_t begin, std::int64_t end) {
      const std::lock_guard lock(mutex);
      seen.emplace(begin, end);
    });
    return seen;
  };
  const auto one = chunks(1);
  CHECK(one.size() == 11);
  CHECK(one.count({1000, 1001}) == 1);
  CHECK(chunks(2) == one);
  CHECK(chunks(5) == one);
}

TEST_CASE("parallel_for over nothing calls nothing", "[parallel]") {
  int calls = 0;
  parallel_for(0, 10, [&](std::int64_t, std::int64_t) { ++calls; });
  parallel_for(-3, 10, [&](std::int64_t, std::int64_t) { ++calls; });
  CHECK(calls == 0);
}

TEST_CASE("parallel_for inside parallel_for runs in place", "[parallel]") {
  const Threads scope(3);
  std::atomic<int> sum{0};
  parallel_for(20, 1, [&](std::int64_t, std::int64_t) {
    const auto here = std::this_thread::get_id();
    parallel_for(50, 5, [&](std::int64_t begin, std::int64_t end) {
      if (std::this_thread::get_id() == here) sum += static_cast<int>(end - begin);
    });
  });
  CHECK(sum == 1000);
}

TEST_CASE("two threads may call parallel_for at the same time", "[parallel]") {
  const Threads scope(2);
  std::atomic<bool> right{true};
  const auto user = [&] {
    for (int i = 0; i < 300; ++i)
      if (visits(100, 7) != std::vector<int>(100, 1)) right = false;
  };
  std::thread other(user);
  user();
  other.join();
  CHECK(right);
}

TEST_CASE("an exception in a chunk reaches the caller and leaves the pool usable", "[parallel]") {
  for (const int threads : {1, 3}) {
    const Threads scope(threads);
    for (int round = 0; round < 50; ++round) {
      CHECK_THROWS_WITH(parallel_for(100, 1,
                                     [&](std::int64_t begin, std::int64_t) {
                                       if (begin == round) throw std::runtime_error("chunk failed");
                                     }),
                        "chunk failed");
      REQUIRE(visits(100, 3) == std::vector<int>(100, 1));
    }
  }
}

TEST_CASE("wrong arguments of parallel_for are named", "[parallel]") {
  CHECK_THROWS_WITH(parallel_for(10, 0, [](std::int64_t, std::int64_t) {}),
                    "parallel_for: the chunk must be positive, got 0");
  CHECK_THROWS_WITH(gradus::set_num_threads(0), "set_num_threads: needs 1 to 1024 threads, got 0");
  CHECK_THROWS_AS(gradus::set_num_threads(100000), gradus::Error);
}

TEST_CASE("a slow worker cannot take part in the next job", "[parallel]") {
  // Many jobs of few chunks, each with its own data: a chunk taken with a stale job would write elsewhere.
  const Threads scope(3);
  for (int round = 0; round < 3000; ++round) {
    std::vector<int> data(static_cast<std::size_t>(2 + round % 5), 0);
    parallel_for(static_cast<std::int64_t>(data.size()), 1,
                 [&](std::int64_t begin, std::int64_t) { data[static_cast<std::size_t>(begin)] += round; });
    REQUIRE(data == std::vector<int>(data.size(), round));
  }
}

#if defined(__SSE__)
TEST_CASE("kernel threads flush denormals exactly when their caller does", "[parallel]") {
  const Threads scope(3);
  const auto survivors = [] {
    std::atomic<int> alive{0};
    parallel_for(64, 1, [&](std::int64_t, std::int64_t) {
      volatile float tiny = std::numeric_limits<float>::min();
      const float denormal = tiny * 0.25F;
      if (denormal != 0) ++alive;
      std::this_thread::yield();
    });
    return alive.load();
  };
  std::thread([&] {
    CHECK(survivors() == 64);
    gradus::flush_denormals();
    CHECK(survivors() == 0);
  }).join();
  std::thread([&] { CHECK(survivors() == 64); }).join();  // a thread that did not ask
}
#endif

#if !defined(__SANITIZE_THREAD__)  // ThreadSanitizer allows no new threads after fork
TEST_CASE("parallel_for works in a forked child", "[parallel]") {
  const Threads scope(2);
  REQUIRE(visits(100, 1) == std::vector<int>(100, 1));  // the workers exist before the fork
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(visits(1000, 1) == std::vector<int>(1000, 1) ? 0 : 1);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  CHECK(visits(100, 1) == std::vector<int>(100, 1));
}
#endif
