// The matrix product against a plain loop over std::fma, which it must equal to the last bit.
#include "core/kernels/gemm.h"

#include "core/parallel.h"
#include "core/random.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <vector>

using gradus::Index;
using gradus::kernels::gemm;
using gradus::kernels::gemm_batched;

namespace {

template <class T>
struct Case {
  bool transpose_a, transpose_b;
  Index m, n, k;
  bool accumulate = false, bias = false;
  Index padding = 0;  // between stored rows
};

#if defined(__FMA__)
template <class T>
T multiply_add(T a, T b, T c) {
  return std::fma(a, b, c);
}
#else
template <class T>
T multiply_add(T a, T b, T c) {
  return a * b + c;
}
#endif

template <class T>
std::vector<T> numbers(Index count, gradus::Rng& rng) {
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& v : values) v = static_cast<T>(rng.uniform() * 2 - 1);
  return values;
}

template <class T>
void check(const Case<T>& x) {
  gradus::Rng rng(7);
  const Index lda = (x.transpose_a ? x.m : x.k) + x.padding;
  const Index ldb = (x.transpose_b ? x.k : x.n) + x.padding;
  const Index ldc = x.n + x.padding;
  // Operands end with the last element of the last row: sanitizers would see a read beyond.
  const auto size = [](Index rows, Index columns, Index ld) {
    return rows * columns == 0 ? 0 : (rows - 1) * ld + columns;
  };
  const auto a = x.transpose_a ? numbers<T>(size(x.k, x.m, lda), rng) : numbers<T>(size(x.m, x.k, lda), rng);
  const auto b = x.transpose_b ? numbers<T>(size(x.n, x.k, ldb), rng) : numbers<T>(size(x.k, x.n, ldb), rng);
  const auto bias = numbers<T>(x.n, rng);
  auto c = numbers<T>(size(x.m, x.n, ldc), rng);
  auto want = c;
  for (Index i = 0; i < x.m; ++i)
    for (Index j = 0; j < x.n; ++j) {
      const auto at = static_cast<std::size_t>(i * ldc + j);
      T sum = x.accumulate ? want[at] : x.bias ? bias[static_cast<std::size_t>(j)] : T{0};
      for (Index p = 0; p < x.k; ++p)
        sum = multiply_add(a[static_cast<std::size_t>(x.transpose_a ? p * lda + i : i * lda + p)],
                           b[static_cast<std::size_t>(x.transpose_b ? j * ldb + p : p * ldb + j)], sum);
      want[at] = sum;
    }
  gemm(x.transpose_a, x.transpose_b, x.m, x.n, x.k, a.data(), lda, b.data(), ldb, c.data(), ldc, x.accumulate,
       x.bias ? bias.data() : nullptr);
  CAPTURE(x.transpose_a, x.transpose_b, x.m, x.n, x.k, x.accumulate, x.bias, x.padding, gradus::num_threads());
  REQUIRE(c == want);
}

template <class T>
void check_all_orders(Index m, Index n, Index k) {
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true}) {
      check<T>({transpose_a, transpose_b, m, n, k});
      check<T>({transpose_a, transpose_b, m, n, k, true, false, 3});
      check<T>({transpose_a, transpose_b, m, n, k, false, true, 5});
    }
}

}  // namespace

TEMPLATE_TEST_CASE("gemm equals a plain loop for every small shape", "[gemm]", float, double) {
  for (const Index m : {0, 1, 2, 5, 6, 7, 11, 13})
    for (const Index n : {0, 1, 2, 4, 7, 8, 9, 15, 16, 17, 33})
      for (const Index k : {0, 1, 3, 8, 9, 19}) check_all_orders<TestType>(m, n, k);
}

TEMPLATE_TEST_CASE("gemm equals a plain loop across tiles, panels and depths", "[gemm]", float, double) {
  const int before = gradus::num_threads();
  for (const int threads : {1, 2, 3}) {
    gradus::set_num_threads(threads);
    check_all_orders<TestType>(150, 140, 70);
    check_all_orders<TestType>(75, 17, 1100);
    check_all_orders<TestType>(20, 300, 520);
    check_all_orders<TestType>(1, 257, 130);
  }
  gradus::set_num_threads(before);
}

TEST_CASE("gemm splits a wide right operand", "[gemm]") {
  check<float>({false, true, 3, 1200, 9000});  // packed, 43 MB
}

TEST_CASE("gemm_batched multiplies each pair", "[gemm]") {
  gradus::Rng rng(3);
  const Index batch = 37, m = 9, n = 10, k = 11;
  const auto a = numbers<float>(batch * m * k, rng);
  const auto b = numbers<float>(k * n, rng);  // shared
  const int before = gradus::num_threads();
  std::vector<float> want(static_cast<std::size_t>(batch * m * n));
  for (Index i = 0; i < batch; ++i)
    gemm(false, false, m, n, k, a.data() + i * m * k, k, b.data(), n, want.data() + i * m * n, n, false);
  for (const int threads : {1, 3}) {
    gradus::set_num_threads(threads);
    std::vector<float> c(want.size(), 5.0F);
    gemm_batched(false, false, batch, m, n, k, a.data(), k, m * k, b.data(), n, 0, c.data(), n, m * n, false);
    CHECK(c == want);
    gemm_batched(false, false, Index{0}, m, n, k, a.data(), k, m * k, b.data(), n, 0, c.data(), n, m * n, false);
    CHECK(c == want);
  }
  gradus::set_num_threads(before);
}
