// Walks the table of ops: values against naive references in f64 and f32, strided and graph-free inputs, first and
// second order gradients, thread counts, and the messages of misuse. An op that is listed is tested.
#include "core/ops.h"

#include "core/gradcheck.h"
#include "core/op_list.h"
#include "core/parallel.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>

using namespace gradus;

namespace {

// The largest error relative to 1 + |expected|; infinite when shapes differ or one side alone is not finite.
double error_between(const Tensor& actual, const Tensor& expected) {
  if (!(actual.shape() == expected.shape())) return INFINITY;
  const auto a = actual.to_vector(), e = expected.to_vector();
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i]))) continue;
    const double error = std::fabs(a[i] - e[i]) / (1 + std::fabs(e[i]));
    worst = std::isnan(error) ? INFINITY : std::fmax(worst, error);
  }
  return worst;
}

Tensors map_floating(const Tensors& inputs, const std::function<Tensor(const Tensor&)>& f) {
  Tensors result;
  for (const Tensor& input : inputs) result.push_back(is_floating(input.dtype()) ? f(input) : input);
  return result;
}

// The same values with strides that are not dense: a slice of every other column of a transposed copy.
Tensor strided(const Tensor& x) {
  if (x.rank() == 0) return x;
  if (x.rank() == 1) {
    const Tensor wide = stack({x, full_like(x, 99)}, 1);  // [n, 2]
    return select(wide, 1, 0);
  }
  const Tensor turned = clone(transpose(x, 0, -1));
  const Tensor wide = stack({full_like(turned, -99), turned}, turned.rank());
  return transpose(select(wide, -1, 1), 0, -1);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector(), y = b.to_vector();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](double left, double right) {
    return std::bit_cast<std::uint64_t>(left) == std::bit_cast<std::uint64_t>(right);
  });
}

}  // namespace

TEST_CASE("every op agrees with its naive reference") {
  for (const OpInfo& op : op_table()) {
    Cases cases;
    op.cases(cases);
    for (const Sample& sample : cases.samples) {
      INFO(op.name << ": " << sample.label);
      const Tensor expected = sample.reference(sample.inputs);
      const Tensor exact = sample.call(sample.inputs);
      CHECK(error_between(exact, expected) <= 1e-12);

      const Tensors single = map_floating(sample.inputs, [](const Tensor& x) { return to(x, DType::f32); });
      const Tensors rounded = map_floating(single, [](const Tensor& x) { return to(x, DType::f64); });
      const Tensor result = sample.call(single);
      if (is_floating(exact.dtype()) && !sample.inputs.empty()) CHECK(result.dtype() == DType::f32);
      CHECK(error_between(result, to(sample.reference(rounded), DType::f32)) <= 5e-6);

      CHECK(error_between(sample.call(map_floating(sample.inputs, strided)), expected) <= 1e-12);

      const Tensors leaves = map_floating(sample.inputs, [](const Tensor& x) { return clone(x).requires_grad_(); });
      CHECK(same_bits(sample.call(leaves), exact));  // recorded
      for (std::size_t i = 0; i < leaves.size(); ++i) CHECK(same_bits(leaves[i], sample.inputs[i]));
    }
  }
}

TEST_CASE("every op has right gradients, first and second order") {
  for (const OpInfo& op : op_table()) {
    Cases cases;
    op.cases(cases);
    for (const Sample& sample : cases.samples) {
      if (!sample.differentiable) continue;
      INFO(op.name << ": " << sample.label);
      const auto dense = gradcheck(sample.call, sample.inputs, {.order = 2});
      INFO(dense.message);
      CHECK(dense.ok);
      const auto views = gradcheck([&](const Tensors& in) { return sample.call(map_floating(in, strided)); },
                                   sample.inputs, {.order = 2});
      INFO(views.message);
      CHECK(views.ok);
    }
  }
}

TEST_CASE("gradients keep the dtype of their inputs") {
  for (const OpInfo& op : op_table()) {
    Cases cases;
    op.cases(cases);
    for (const Sample& sample : cases.samples) {
      if (!sample.differentiable || sample.inputs.empty()) continue;
      INFO(op.name << ": " << sample.label);
      const Tensors leaves =
          map_floating(sample.inputs, [](const Tensor& x) { return to(x, DType::f32).detach().requires_grad_(); });
      const Tensor y = sample.call(leaves);
      if (!y.requires_grad()) continue;
      backward(sum(y));
      for (const Tensor& leaf : leaves)
        if (leaf.grad().defined()) CHECK(leaf.grad().dtype() == DType::f32);
    }
  }
}

TEST_CASE("misuse of every op is named") {
  for (const OpInfo& op : op_table()) {
    Cases cases;
    op.cases(cases);
    for (const Misuse& misuse : cases.misuses) {
      INFO(op.name << ": " << misuse.label);
      CHECK_THROWS_WITH(misuse.call(), Catch::Contains(misuse.message));
    }
  }
}

TEST_CASE("names of ops are unique, and every op has samples") {
  std::set<std::string> names;
  for (const OpInfo& op : op_table()) {
    Cases cases;
    op.cases(cases);
    INFO(op.name);
    CHECK(names.insert(std::string(op.name)).second);
    CHECK(!cases.samples.empty());
  }
  CHECK(names.size() >= 70);
}

TEST_CASE("large ops give the same bits for any number of threads") {
  const int before = num_threads();
  const auto run = [](int threads) {
    set_num_threads(threads);
    Rng rng(3);
    Tensor x = randn({300, 700}, rng).requires_grad_();
    Tensor w = randn({650, 700}, rng).requires_grad_();
    Tensor b = randn({650}, rng).requires_grad_();
    Tensor index = randperm(300, rng);
    const Tensor h = gelu(linear(x, w, b)) * 0.1;
    const Tensor y = softmax(index_select(h, 0, index)) * tanh(h) + mean(h, {0}) + var(h, {1}, 1, true);
    Rng mask(9);
    const Tensor loss = sum(dropout(y, 0.3, mask)) + norm(matmul(transpose(h), h)) +
                        cross_entropy(h, slice(randperm(650, rng), 0, 0, 300));
    backward(loss);
    return Tensors{loss, x.grad(), w.grad(), b.grad()};
  };
  const Tensors one = run(1);
  for (const int threads : {2, 3, 5}) {
    const Tensors other = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(same_bits(one[i], other[i]));
  }
  set_num_threads(before);
}
