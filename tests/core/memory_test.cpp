// The pool and its account.
#include "core/memory.h"

#include "core/autograd.h"
#include "core/ops.h"

#include <catch2/catch.hpp>

#include <thread>

using namespace gradus;

TEST_CASE("every storage is counted under its tag, live and at its peak") {
  const auto before = memory::usage();
  memory::reset_peak();
  {
    const Tensor a = zeros({1024, 1024});
    Tensor b = zeros({512, 1024});
    CHECK(memory::usage().live_of(MemTag::temporary) - before.live_of(MemTag::temporary) == 6 << 20);
    b.set_tag(MemTag::data);
    CHECK(memory::usage().live_of(MemTag::data) - before.live_of(MemTag::data) == 2 << 20);
    const memory::TagScope scope(MemTag::optimizer);
    const Tensor c = zeros({3});
    CHECK(c.tag() == MemTag::optimizer);
    CHECK(memory::usage().live_of(MemTag::optimizer) - before.live_of(MemTag::optimizer) == 12);
  }
  const auto after = memory::usage();
  CHECK(after.total_live == before.total_live);
  CHECK(after.total_peak >= before.total_live + (6 << 20));
  CHECK(after.peak_of(MemTag::data) >= before.live_of(MemTag::data) + (2 << 20));
  memory::reset_peak();
  CHECK(memory::usage().total_peak < before.total_live + (1 << 20));
  CHECK_THAT(memory::report(), Catch::Contains("activation") && Catch::Contains("total"));
}

TEST_CASE("views are not counted twice") {
  const Tensor x = zeros({1000});
  const auto before = memory::usage().total_live;
  const Tensor y = transpose(reshape(x, {10, 100}));
  CHECK(memory::usage().total_live == before);
}

TEST_CASE("saving makes activations, leaves hold gradients, and backward frees what it used") {
  Rng rng(1);
  Tensor w = randn({64, 64}, rng).requires_grad_();
  w.set_tag(MemTag::parameter);
  const auto before = memory::usage();
  Tensor loss = sum(square(tanh(matmul(w, w))));
  CHECK(memory::usage().live_of(MemTag::activation) - before.live_of(MemTag::activation) ==
        64 * 64 * 4);  // tanh's output
  backward(loss);
  CHECK(memory::usage().live_of(MemTag::activation) == before.live_of(MemTag::activation));
  CHECK(memory::usage().live_of(MemTag::gradient) - before.live_of(MemTag::gradient) == 64 * 64 * 4);
}

TEST_CASE("a training step in steady state asks the system for nothing") {
  Rng rng(2);
  Tensor w1 = randn({300, 200}, rng).requires_grad_(), b1 = zeros({300}).requires_grad_();
  Tensor w2 = randn({10, 300}, rng).requires_grad_(), b2 = zeros({10}).requires_grad_();
  const Tensor x = randn({64, 200}, rng);
  const Tensor y = indices(std::vector<Index>(64, 3));
  const auto step = [&] {
    for (Tensor* p : {&w1, &b1, &w2, &b2}) p->set_grad({});
    backward(cross_entropy(linear(relu(linear(x, w1, b1)), w2, b2), y));
    const NoGrad off;
    for (Tensor* p : {&w1, &b1, &w2, &b2}) p->copy_(*p - 0.01 * p->grad());
  };
  for (int i = 0; i < 5; ++i) step();
  const auto before = memory::usage();
  for (int i = 0; i < 50; ++i) step();
  const auto after = memory::usage();
  CHECK(after.system_allocations == before.system_allocations);
  CHECK(after.total_live == before.total_live);
}

TEST_CASE("blocks made on one thread and freed on another come back") {
  const auto pass = [](int count) {
    for (int i = 0; i < count; ++i) {
      Tensor x;
      std::thread([&] { x = zeros({64, 784}); }).join();
      CHECK(x.numel() == 64 * 784);
    }
  };
  pass(10);  // until this thread keeps no more and hands the rest over
  const auto before = memory::usage().system_allocations;
  pass(20);
  CHECK(memory::usage().system_allocations == before);
}

TEST_CASE("cached blocks can be given back") {
  { const Tensor x = zeros({1 << 20}); }
  const auto before = memory::usage().reserved;
  memory::release_cached();
  CHECK(memory::usage().reserved <= before - (4 << 20));
}
