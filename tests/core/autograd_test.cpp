// The backward pass itself: accumulation, graphs that are kept or freed, saved tensors that changed, user ops, depth.
#include "core/gradcheck.h"
#include "core/ops.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <pthread.h>
#include <thread>

using namespace gradus;

namespace {

Tensor leaf(std::initializer_list<double> values) { return tensor(values, DType::f64).requires_grad_(); }

// A user's op: y = x / sqrt(1 + (x / limit)^2).
struct SoftClip {
  static constexpr std::string_view kName = "soft_clip";
  static constexpr int kSaved = 1;
  double limit = 1;
  Tensor forward(Saver<1>& save, const Tensor& x) const {
    save(x);
    return x * rsqrt(1.0 + square(x / limit));
  }
  Grads<1> vjp(const Saved<1>& saved, const Tensor& dy, Needs<1>) const {
    return {dy * pow(1.0 + square(saved[0] / limit), -1.5)};
  }
};

struct OnlyOnce {
  static constexpr std::string_view kName = "only_once";
  static constexpr int kSaved = 0;
  static constexpr bool kOnceDifferentiable = true;
  Tensor forward(Saver<0>&, const Tensor& x) const { return x * 2.0; }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {dy * 2.0}; }
};

struct WrongShape {
  static constexpr std::string_view kName = "wrong_shape";
  static constexpr int kSaved = 0;
  Tensor forward(Saver<0>&, const Tensor& x) const { return sum(x); }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {dy}; }
};

struct Wrong {
  static constexpr std::string_view kName = "wrong";
  static constexpr int kSaved = 1;
  Tensor forward(Saver<1>& save, const Tensor& x) const {
    save(x);
    return x * x;
  }
  Grads<1> vjp(const Saved<1>& saved, const Tensor& dy, Needs<1>) const { return {dy * saved[0]}; }
};

struct Throws {
  static constexpr std::string_view kName = "throws";
  static constexpr int kSaved = 0;
  Tensor forward(Saver<0>&, const Tensor& x) const { return x * 1.0; }
  Grads<1> vjp(const Saved<0>&, const Tensor&, Needs<1>) const { fail("throws: on purpose"); }
};

}  // namespace

TEST_CASE("backward adds into leaves, and a second one accumulates") {
  Tensor x = leaf({2, 3});
  backward(sum(x * x));
  CHECK(x.grad().to_vector() == std::vector<double>{4, 6});
  backward(sum(x * x));
  CHECK(x.grad().to_vector() == std::vector<double>{8, 12});
  x.set_grad({});
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("a tensor used in several places receives the sum") {
  Tensor x = leaf({3});
  const Tensor y = x * x;
  backward(sum(y * y + y * x + x));  // x^4 + x^3 + x
  CHECK(x.grad().item() == Approx(4 * 27 + 3 * 9 + 1));
}

TEST_CASE("leaves never share a gradient") {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  backward(sum(a + b));
  REQUIRE(a.grad().defined());
  CHECK_FALSE(a.grad().shares_storage_with(b.grad()));
  CHECK(a.grad().is_contiguous());
}

TEST_CASE("grad returns gradients and touches no leaf") {
  Tensor x = leaf({2});
  Tensor unused = leaf({1});
  const Tensor h = x * x;
  const Tensor y = h * 3.0;
  const auto g = grad({sum(y)}, {x, h, x}, {.retain_graph = true});
  CHECK(g[0].item() == 12);
  CHECK(g[1].item() == 3);
  CHECK(g[2].item() == 12);
  CHECK_FALSE(x.grad().defined());
  CHECK_THROWS_WITH(grad({sum(y)}, {x, unused}, {.retain_graph = true}),
                    Catch::Contains("no output depends on input 1"));
  CHECK_FALSE(grad({sum(y)}, {x, unused}, {.allow_unused = true})[1].defined());
}

TEST_CASE("grad with several outputs and weights") {
  Tensor x = leaf({2, 5});
  const auto g = grad({x * x, x * 3.0}, {x}, {}, {tensor({1, 1}, DType::f64), tensor({1, 2}, DType::f64)});
  CHECK(g[0].to_vector() == std::vector<double>{7, 16});
}

TEST_CASE("gradients of gradients, to the fourth order") {
  Tensor x = leaf({1.5});
  Tensor y = sum(pow(x, 5.0));
  for (const double expected : {5 * std::pow(1.5, 4), 20 * std::pow(1.5, 3), 60 * std::pow(1.5, 2), 120 * 1.5}) {
    y = sum(grad({y}, {x}, {.create_graph = true})[0]);
    CHECK(y.item() == Approx(expected));
  }
}

TEST_CASE("a gradient penalty flows into parameters") {
  Rng rng(1);
  const auto f = [](const Tensors& in) {
    Tensor x = in[0];
    const Tensor y = sum(tanh(linear(x, in[1], in[2])));
    const auto slope = grad({y}, {x}, {.create_graph = true});
    return sum(square(slope[0]));
  };
  const auto result =
      gradcheck(f, {randn({4, 3}, rng, DType::f64), randn({5, 3}, rng, DType::f64), randn({5}, rng, DType::f64)},
                {.order = 2, .full = true});
  INFO(result.message);
  CHECK(result.ok);
}

TEST_CASE("the graph is freed unless it is retained") {
  Tensor x = leaf({2});
  const Tensor y = sum(x * x);
  backward(y, {.retain_graph = true});
  backward(y);
  CHECK(x.grad().item() == 8);
  CHECK_THROWS_WITH(backward(y), Catch::Contains("already freed") && Catch::Contains("retain_graph"));
}

TEST_CASE("a saved tensor that changed is refused, with the names of both sides") {
  Tensor w = leaf({1, 2});
  w.set_name("fc.weight");
  const Tensor loss = sum(w * w);
  w.mark_written("step");
  CHECK_THROWS_WITH(backward(loss), Catch::Contains("step changed") && Catch::Contains("\"fc.weight\"") &&
                                        Catch::Contains("after mul saved it"));
}

TEST_CASE("NoGrad, detach and leaves without gradient record nothing") {
  Tensor x = leaf({2});
  {
    const NoGrad off;
    CHECK_FALSE((x * x).requires_grad());
    const EnableGrad on;
    CHECK((x * x).requires_grad());
  }
  CHECK(grad_enabled());
  CHECK_FALSE((x.detach() * 2.0).requires_grad());
  CHECK_FALSE(argmax(x).requires_grad());
  CHECK_FALSE(greater(x, x).requires_grad());
  CHECK_THROWS_WITH(backward(sum(x.detach())), Catch::Contains("does not depend on anything that requires grad"));
}

TEST_CASE("outputs and gradients must fit") {
  Tensor x = leaf({1, 2});
  CHECK_THROWS_WITH(backward(x * x), Catch::Contains("one-element"));
  CHECK_THROWS_WITH(backward(x * x, scalar(1, DType::f64)), Catch::Contains("does not match the output"));
  backward(x * x, tensor({1, 10}, DType::f64));
  CHECK(x.grad().to_vector() == std::vector<double>{2, 40});
  CHECK_THROWS_WITH(indices({1}).requires_grad_(), Catch::Contains("cannot have gradients"));
  CHECK_THROWS_WITH((x * x).requires_grad_(false), Catch::Contains("was made by mul"));
}

TEST_CASE("in-place changes are guarded") {
  Tensor x = leaf({1, 2});
  CHECK_THROWS_WITH(x.fill_(0), Catch::Contains("NoGrad"));
  Tensor y = x * 2.0;
  CHECK_THROWS_WITH(y.copy_(x), Catch::Contains("result of affine"));
  const NoGrad off;
  x.fill_(3);
  CHECK(x.to_vector() == std::vector<double>{3, 3});
}

TEST_CASE("a user's op: values, gradients of both orders") {
  Rng rng(2);
  const auto call = [](const Tensors& in) { return apply(SoftClip{2.0}, in[0]); };
  const auto result = gradcheck(call, {randn({4, 3}, rng, DType::f64)}, {.order = 2, .full = true});
  INFO(result.message);
  CHECK(result.ok);
}

TEST_CASE("an op may declare that it differentiates once") {
  Tensor x = leaf({2});
  CHECK(grad({apply(OnlyOnce{}, x)}, {x})[0].item() == 2);
  CHECK_THROWS_WITH(grad({apply(OnlyOnce{}, x)}, {x}, {.create_graph = true}),
                    Catch::Contains("only_once can be differentiated only once"));
}

TEST_CASE("a vjp with a wrong shape is caught at the leaf") {
  Tensor x = leaf({1, 2});
  x.set_name("w");
  CHECK_THROWS_WITH(backward(apply(WrongShape{}, x)),
                    Catch::Contains("\"w\"") && Catch::Contains("shaped like its input"));
}

TEST_CASE("gradcheck finds a wrong gradient and refuses f32") {
  const auto call = [](const Tensors& in) { return apply(Wrong{}, in[0]); };
  const auto result = gradcheck(call, {tensor({1, 2}, DType::f64)}, {.full = true});
  CHECK_FALSE(result.ok);
  CHECK_THAT(result.message, Catch::Contains("order 1, input 0, element 0"));
  CHECK_THROWS_WITH(gradcheck(call, {tensor({1, 2})}), Catch::Contains("must be f64"));
}

TEST_CASE("an exception in a vjp leaves the engine usable") {
  Tensor x = leaf({1, 2});
  const Tensor h = x * 2.0;
  CHECK_THROWS_WITH(backward(sum(h + apply(Throws{}, h)), {.retain_graph = true}), Catch::Contains("on purpose"));
  CHECK(grad_enabled());
  x.set_grad({});
  backward(sum(h));
  CHECK(x.grad().to_vector() == std::vector<double>{2, 2});
}

TEST_CASE("a million chained ops run forward, backward and away on a small stack") {
  double slope = 0;
  const auto chain = [](void* result) -> void* {
    Tensor x = leaf({1});
    Tensor y = x;
    for (int i = 0; i < 1'000'000; ++i) y = y * 1.0000001;
    backward(sum(y));
    *static_cast<double*>(result) = x.grad().item();
    Tensor z = x;
    for (int i = 0; i < 1'000'000; ++i) z = -z;  // freed without backward
    return nullptr;
  };
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 256 * 1024) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, chain, &slope) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
  CHECK(slope == Approx(std::exp(0.1)).epsilon(1e-6));
}

TEST_CASE("two threads train two models") {
  const auto train = [](std::uint64_t seed) {
    Rng rng(seed);
    Tensor w = randn({8, 8}, rng).requires_grad_();
    const Tensor x = randn({16, 8}, rng);
    for (int step = 0; step < 200; ++step) {
      w.set_grad({});
      backward(mean(square(linear(x, w, zeros({8})) - x)));
      const NoGrad off;
      w.copy_(w - 0.1 * w.grad());
    }
    return w.to_vector();
  };
  const auto one = train(1), two = train(2);
  std::vector<double> first, second;
  std::thread a([&] { first = train(1); });
  std::thread b([&] { second = train(2); });
  a.join();
  b.join();
  CHECK(first == one);
  CHECK(second == two);
}
