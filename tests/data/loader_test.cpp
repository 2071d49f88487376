// DataLoader: order, coverage, resumption, the worker thread, and what happens when things go wrong.
#include "data/loader.h"

#include "core/memory.h"
#include "core/parallel.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>

using namespace gradus;
using namespace gradus::data;
using namespace gradus::testing;
using Catch::Matchers::Contains;

namespace {

// Example i is i, twice; an example in `spoilt` throws.
struct Counting {
  Index count = 0;
  Index spoilt = -1;
  std::chrono::milliseconds delay{0};

  Index size() const { return count; }
  Batch allocate(Index n) const { return {empty({n}), empty({n}, DType::i64)}; }
  void fill(std::span<const Index> indices, Batch& batch) const {
    std::this_thread::sleep_for(delay);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] == spoilt) throw std::out_of_range("spoilt example");
      batch.x.mutable_data<float>()[i] = static_cast<float>(indices[i]);
      batch.y.mutable_data<Index>()[i] = indices[i];
    }
  }
};

using Batches = std::vector<std::vector<Index>>;

std::vector<Index> content(const Batch& batch) {
  const auto y = batch.y.data<Index>();
  return {y.begin(), y.end()};
}

Batches epoch_of(DataLoader& loader, Index epoch) {
  Batches batches;
  for (const Batch& batch : loader.epoch(epoch)) {
    CHECK(batch.x.to_vector() == batch.y.to_vector());
    batches.push_back(content(batch));
  }
  return batches;
}

std::vector<Index> flat(const Batches& batches) {
  std::vector<Index> all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

}  // namespace

TEST_CASE("loader: in order without shuffle, the last batch shorter") {
  const Counting dataset{10};
  for (const bool prefetch : {true, false}) {
    DataLoader loader(dataset, {.batch_size = 4, .prefetch = prefetch});
    CHECK(loader.batches() == 3);
    CHECK(loader.size() == 10);
    for (const Index epoch : {0, 1, 7}) CHECK(epoch_of(loader, epoch) == Batches{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}});
  }
}

TEST_CASE("loader: drop_last leaves out only what does not fill a batch") {
  const Counting dataset{10};
  DataLoader four(dataset, {.batch_size = 4, .drop_last = true});
  CHECK(epoch_of(four, 0) == Batches{{0, 1, 2, 3}, {4, 5, 6, 7}});
  DataLoader five(dataset, {.batch_size = 5, .drop_last = true});
  CHECK(five.batches() == 2);
  CHECK(flat(epoch_of(five, 0)).size() == 10);
  DataLoader one(dataset);
  CHECK(one.batches() == 10);
  DataLoader all(dataset, {.batch_size = 100});
  CHECK(epoch_of(all, 0).size() == 1);
}

TEST_CASE("loader: shuffle gives every example once, in an order set by seed and epoch") {
  const Counting dataset{1000};
  DataLoader loader(dataset, {.batch_size = 64, .shuffle = true, .seed = 1});
  const Batches first = epoch_of(loader, 0), second = epoch_of(loader, 1);
  for (auto order : {flat(first), flat(second)}) {
    CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < 1000; ++i) CHECK(order[i] == static_cast<Index>(i));
  }
  CHECK(first != second);

  DataLoader again(dataset, {.batch_size = 64, .shuffle = true, .seed = 1, .prefetch = false});
  CHECK(epoch_of(again, 1) == second);  // whatever came before, with a worker or without
  CHECK(epoch_of(again, 0) == first);
  DataLoader other_size(dataset, {.batch_size = 10, .shuffle = true, .seed = 1});
  CHECK(flat(epoch_of(other_size, 0)) == flat(first));
  DataLoader other_seed(dataset, {.batch_size = 64, .shuffle = true, .seed = 2});
  CHECK(epoch_of(other_seed, 0) != first);
}

TEST_CASE("loader: state counts the batches handed out") {
  const Counting dataset{5};
  DataLoader loader(dataset, {.batch_size = 2});
  CHECK(loader.state() == DataLoaderState{0, 0});
  Index seen = 0;
  for ([[maybe_unused]] const Batch& batch : loader.epoch(3)) CHECK(loader.state() == DataLoaderState{3, ++seen});
  CHECK(loader.state() == DataLoaderState{4, 0});
}

TEST_CASE("loader: resumed anywhere, the batches are those of the straight run") {
  const Counting dataset{11};
  const DataLoaderOptions options{.batch_size = 2, .shuffle = true, .seed = 3};
  DataLoader straight(dataset, options);
  Batches expected;
  std::vector<DataLoaderState> states = {straight.state()};
  for (Index epoch = 0; epoch < 2; ++epoch)
    for (const Batch& batch : straight.epoch(epoch)) {
      expected.push_back(content(batch));
      states.push_back(straight.state());
    }
  states.push_back(straight.state());

  for (std::size_t handed_out = 0; handed_out < states.size(); ++handed_out) {
    DataLoader resumed(dataset, options);
    resumed.load_state(states[handed_out]);
    CHECK(resumed.state() == states[handed_out]);
    Batches rest;
    for (Index epoch = resumed.state().epoch; epoch < 2; ++epoch)
      for (auto& batch : epoch_of(resumed, epoch)) rest.push_back(std::move(batch));
    const auto from = static_cast<std::ptrdiff_t>(std::min(handed_out, expected.size()));
    CHECK(rest == Batches(expected.begin() + from, expected.end()));
    CHECK(resumed.state() == straight.state());
  }
}

TEST_CASE("loader: a state is used once, and only for its epoch") {
  const Counting dataset{10};
  DataLoader loader(dataset, {.batch_size = 5});
  loader.load_state({2, 1});
  CHECK_THROWS_WITH(loader.epoch(0), Contains("epoch 0 was asked for, but the loaded state stands in epoch 2"));
  CHECK(epoch_of(loader, 2) == Batches{{5, 6, 7, 8, 9}});
  CHECK(epoch_of(loader, 2).size() == 2);
  CHECK_THROWS_WITH(loader.load_state({0, 3}),
                    Contains("epoch 0, batch 3 is no place of this loader") && Contains("10 examples, batch_size 5"));
  CHECK_THROWS_AS(loader.load_state({-1, 0}), Error);
  CHECK_THROWS_AS(loader.load_state({0, -1}), Error);
}

TEST_CASE("loader: an epoch may be left early and begun again") {
  const Counting dataset{100};
  for (const bool prefetch : {true, false}) {
    DataLoader loader(dataset, {.batch_size = 3, .shuffle = true, .prefetch = prefetch});
    const Batches all = epoch_of(loader, 0);
    for (std::size_t stop = 0; stop < 5; ++stop) {
      std::size_t seen = 0;
      for (const Batch& batch : loader.epoch(0)) {
        CHECK(content(batch) == all[seen]);
        if (seen++ == stop) break;
      }
    }
    CHECK(epoch_of(loader, 0) == all);
    loader.epoch(1);  // never iterated
    CHECK(epoch_of(loader, 0) == all);
  }
}

TEST_CASE("loader: may be destroyed while the worker is busy") {
  const Counting dataset{.count = 10, .delay = std::chrono::milliseconds(5)};
  for (int batches = 0; batches < 3; ++batches) {
    const auto loader = std::make_unique<DataLoader>(dataset, DataLoaderOptions{.batch_size = 2});
    int seen = 0;
    if (batches == 0)
      loader->epoch(0);
    else
      for ([[maybe_unused]] const Batch& batch : loader->epoch(0))
        if (++seen == batches) break;
  }
  const DataLoader never_used(dataset);
}

TEST_CASE("loader: an exception reaches the consumer at its batch, and the loader lives on") {
  for (const bool prefetch : {true, false}) {
    const Counting dataset{.count = 10, .spoilt = 5};
    DataLoader loader(dataset, {.batch_size = 2, .prefetch = prefetch});
    for (int attempt = 0; attempt < 2; ++attempt) {
      Batches seen;
      const auto iterate = [&] {
        for (const Batch& batch : loader.epoch(0)) seen.push_back(content(batch));
      };
      CHECK_THROWS_AS(iterate(), std::out_of_range);
      CHECK(seen == Batches{{0, 1}, {2, 3}});
      CHECK(loader.state() == DataLoaderState{0, 2});
    }
    for ([[maybe_unused]] const Batch& batch : loader.epoch(0))
      if (loader.state().batch == 2) break;  // the error of a batch nobody asked for is dropped
    loader.load_state({0, 3});
    CHECK(epoch_of(loader, 0) == Batches{{6, 7}, {8, 9}});
  }
}

TEST_CASE("loader: batches that are kept stay as they were") {
  const Counting dataset{20};
  DataLoader loader(dataset, {.batch_size = 2});
  std::vector<Batch> kept;
  for (const Batch& batch : loader.epoch(0)) kept.push_back(batch);
  for (std::size_t i = 0; i < kept.size(); ++i)
    CHECK(content(kept[i]) == std::vector<Index>{static_cast<Index>(2 * i), static_cast<Index>(2 * i + 1)});
}

TEST_CASE("loader: an iteration that epoch() replaced says so") {
  const Counting dataset{10};
  DataLoader loader(dataset, {.batch_size = 2});
  const auto outer = loader.epoch(0);
  auto it = outer.begin();
  loader.epoch(1);
  CHECK_THROWS_WITH(++it, Contains("nested loops need a loader each"));
}

TEST_CASE("loader: senseless options are refused") {
  const Counting dataset{10}, none{0};
  CHECK_THROWS_WITH(DataLoader(dataset, {.batch_size = 0}), Contains("batch_size is 0; expected 1 or more"));
  CHECK_THROWS_WITH(DataLoader(none), Contains("the data set is empty"));
  CHECK_THROWS_WITH(DataLoader(dataset, {.batch_size = 11, .drop_last = true}),
                    Contains("drop_last leaves no batch") && Contains("10 examples, batch_size 11"));
  DataLoader loader(dataset);
  CHECK_THROWS_WITH(loader.epoch(-1), Contains("epoch is -1"));
}

TEST_CASE("loader: batches are tagged as data, and a steady loop asks the system for nothing") {
  const TensorDataset dataset(zeros({600, 784}), zeros({600}, DType::i64));
  DataLoader loader(dataset, {.batch_size = 128, .shuffle = true});
  const auto run = [&](Index epochs) {
    for (Index epoch = 0; epoch < epochs; ++epoch)
      for (const Batch& batch : loader.epoch(epoch)) {
        CHECK(batch.x.tag() == MemTag::data);
        CHECK(batch.y.tag() == MemTag::data);
      }
  };
  run(2);
  const auto before = memory::usage();
  run(20);
  const auto after = memory::usage();
  CHECK(after.system_allocations == before.system_allocations);
  CHECK(after.total_live == before.total_live);
}

TEST_CASE("loader: the worker flushes denormals when its consumer does") {
  // Halves the smallest normal number: 0 where denormals are flushed.
  struct Tiny {
    Index size() const { return 4; }
    Batch allocate(Index n) const { return {empty({n}), empty({n}, DType::i64)}; }
    void fill(std::span<const Index>, Batch& batch) const {
      volatile float smallest = 1.17549435e-38F;
      for (float& value : batch.x.mutable_data<float>()) value = smallest * 0.5F;
      for (Index& value : batch.y.mutable_data<Index>()) value = 0;
    }
  };
  std::thread([] {
    flush_denormals();
    const Tiny dataset;
    std::vector<std::uint32_t> seen;
    for (const bool prefetch : {true, false}) {
      DataLoader loader(dataset, {.prefetch = prefetch});
      for (const Batch& batch : loader.epoch(0)) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, batch.x.ptr<float>(), 4);
        seen.push_back(bits);
      }
    }
    if (std::any_of(seen.begin(), seen.end(), [&](std::uint32_t bits) { return bits != seen[0]; })) std::abort();
  }).join();
  SUCCEED();
}

TEST_CASE("loader: several loaders of one data set may run at once, in several threads") {
  const Counting dataset{300};
  std::atomic<int> wrong{0};
  const auto work = [&](std::uint64_t seed) {
    DataLoader loader(dataset, {.batch_size = 7, .shuffle = true, .seed = seed});
    for (Index epoch = 0; epoch < 5; ++epoch) {
      Index sum = 0;
      for (const Batch& batch : loader.epoch(epoch))
        for (const Index i : batch.y.data<Index>()) sum += i;
      if (sum != 300 * 299 / 2) ++wrong;
    }
  };
  std::thread other(work, 1);
  work(2);
  other.join();
  CHECK(wrong == 0);
}
