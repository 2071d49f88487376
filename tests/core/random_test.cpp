// Random numbers: known answers, distributions, independence, and the same bits for any number of threads.
#include "core/random.h"

#include "core/error.h"
#include "core/parallel.h"
#include "core/tensor.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

using namespace gradus;
using Catch::Matchers::Contains;

namespace {

struct Moments {
  double mean = 0;
  double variance = 0;
  double skew = 0;
  double kurtosis = 0;
};

Moments moments_of(const std::vector<double>& values) {
  Moments m;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) m.mean += v / n;
  for (const double v : values) m.variance += std::pow(v - m.mean, 2) / n;
  for (const double v : values) m.skew += std::pow((v - m.mean) / std::sqrt(m.variance), 3) / n;
  for (const double v : values) m.kurtosis += std::pow((v - m.mean) / std::sqrt(m.variance), 4) / n;
  return m;
}

// Mean 0, variance 1, skew 0, kurtosis 3 within five standard errors.
void check_standard_normal(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  const Moments m = moments_of(values);
  CHECK(std::abs(m.mean) < 5 / std::sqrt(n));
  CHECK(std::abs(m.variance - 1) < 5 * std::sqrt(2 / n));
  CHECK(std::abs(m.skew) < 5 * std::sqrt(6 / n));
  CHECK(std::abs(m.kurtosis - 3) < 5 * std::sqrt(24 / n));
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const Moments ma = moments_of(a), mb = moments_of(b);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - ma.mean) * (b[i] - mb.mean);
  return sum / static_cast<double>(a.size()) / std::sqrt(ma.variance * mb.variance);
}

// Pearson's statistic for equal expected counts: about `cells` - 1, with standard deviation sqrt(2 (cells - 1)).
double chi_square(const std::vector<double>& counts) {
  double total = 0, sum = 0;
  for (const double count : counts) total += count;
  const double expected = total / static_cast<double>(counts.size());
  for (const double count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.ptr<char>(), b.ptr<char>(), a.bytes()) == 0;
}

// Restores the number of threads.
struct Threads {
  int before = num_threads();
  ~Threads() { set_num_threads(before); }
};

}  // namespace

TEST_CASE("philox4x32 gives the published known answers") {
  using Block = std::array<std::uint32_t, 4>;
  // The file kat_vectors of the reference implementation, Random123.
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("scalar draws are the documented words of their block") {
  const std::uint64_t key = 0x0123456789abcdef;
  const std::uint64_t counter = 0xfffffffff;  // beyond 32 bits
  const auto block = philox4x32({0xffffffff, 0xf, 0, 0}, {0x89abcdef, 0x01234567});
  const std::uint64_t half = std::uint64_t{block[1]} << 32 | block[0];

  CHECK(Rng::restore(key, counter).next_u32() == block[0]);
  CHECK(Rng::restore(key, counter).uniform() == static_cast<double>(half >> 11) / 9007199254740992.0);
  CHECK(Rng::restore(key, counter).below(1000) == half % 1000);
  Rng rng = Rng::restore(key, counter);
  rng.normal();
  CHECK(rng.counter() == counter + 1);
}

TEST_CASE("a stream is a value: copies repeat, restore continues") {
  Rng rng(42);
  for (int i = 0; i < 5; ++i) rng.uniform();
  Rng copy = rng;
  Rng restored = Rng::restore(rng.key(), rng.counter());
  CHECK(copy == rng);
  for (int i = 0; i < 5; ++i) {
    const double value = rng.normal();
    CHECK(copy.normal() == value);
    CHECK(restored.normal() == value);
  }
  CHECK(Rng(1) != Rng(2));
  CHECK(Rng(1).next_u32() != Rng(2).next_u32());
}

TEST_CASE("reserve hands out disjoint blocks") {
  Rng rng(3);
  CHECK(rng.reserve(10) == 0);
  CHECK(rng.reserve(1) == 10);
  CHECK(rng.counter() == 11);
}

TEST_CASE("split does not advance, and separates names and indices") {
  const Rng rng(9);
  const Rng before = rng;
  std::set<std::uint64_t> keys = {rng.key()};
  const std::vector<std::string> names = {"",         "a",         "b",        "ab",
                                          "weights",  "dropout",   "12345678", "123456789",
                                          "87654321", "123456780", "a\0",      std::string("a\0", 2)};
  for (const std::string& name : names) {
    CHECK(rng.split(name) == rng.split(name));
    CHECK(rng.split(name).counter() == 0);
    keys.insert(rng.split(name).key());
  }
  CHECK(keys.size() == names.size());  // one for the parent, and "a\0" as a literal is "a"
  for (std::uint64_t i = 0; i < 1000; ++i) keys.insert(rng.split(i).key());
  keys.insert(rng.split(~std::uint64_t{0}).key());
  CHECK(keys.size() == names.size() + 1001);
  CHECK(rng.split("a").split("b") != rng.split("b").split("a"));
  CHECK(rng == before);
}

TEST_CASE("split streams are independent of each other and of their parent") {
  const Rng root(5);
  const std::vector<Rng> streams = {root, root.split("a"), root.split("b"), root.split(0), root.split(1)};
  constexpr std::size_t kDraws = 20000;
  std::vector<std::vector<double>> draws;
  for (Rng stream : streams) {
    auto& values = draws.emplace_back();
    for (std::size_t i = 0; i < kDraws; ++i) values.push_back(stream.uniform());
  }
  for (std::size_t i = 0; i < draws.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK(std::abs(correlation(draws[i], draws[j])) < 5 / std::sqrt(kDraws));
}

TEST_CASE("uniform fills [0, 1) evenly") {
  Rng rng(11);
  std::vector<double> cells(64);
  for (int i = 0; i < 64000; ++i) {
    const double value = rng.uniform();
    REQUIRE(value >= 0);
    REQUIRE(value < 1);
    ++cells[static_cast<std::size_t>(value * 64)];
  }
  CHECK(std::abs(chi_square(cells) - 63) < 5 * std::sqrt(2 * 63.0));
}

TEST_CASE("every bit of next_u32 is set half of the time") {
  Rng rng(12);
  std::array<int, 32> set{};
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const std::uint32_t word = rng.next_u32();
    for (std::size_t bit = 0; bit < 32; ++bit) set[bit] += static_cast<int>(word >> bit & 1U);
  }
  for (const int count : set) CHECK(std::abs(count - kDraws / 2) < 5 * std::sqrt(kDraws) / 2);
}

TEST_CASE("below is even over small, odd and huge bounds") {
  Rng rng(13);
  for (const std::uint64_t bound : {1U, 2U, 3U, 10U, 37U}) {
    std::vector<double> counts(bound);
    for (std::uint64_t i = 0; i < 1000 * bound; ++i) ++counts.at(rng.below(bound));
    const double freedom = static_cast<double>(bound) - 1;
    CHECK(std::abs(chi_square(counts) - freedom) <= 5 * std::sqrt(2 * freedom));
  }
  // With bound 3/4 of 2^64, a draw by remainder alone would hit the lowest third twice as often as the others.
  const std::uint64_t bound = 3ULL << 62;
  std::vector<double> thirds(3);
  for (int i = 0; i < 9000; ++i) ++thirds.at(rng.below(bound) / (bound / 3));
  CHECK(chi_square(thirds) < 2 + 5 * 2);
  CHECK_THROWS_WITH(rng.below(0), Contains("Rng::below: bound is 0"));
}

TEST_CASE("normal draws have the moments of a standard normal") {
  Rng rng(14);
  std::vector<double> values;
  for (int i = 0; i < 50000; ++i) values.push_back(rng.normal());
  check_standard_normal(values);
}

TEST_CASE("randn and rand have the right distributions") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Rng rng(15);
    check_standard_normal(randn({250, 400}, rng, dtype).to_vector());

    std::vector<double> cells(64);
    for (const double value : rand({64000}, rng, -2, 6, dtype).to_vector()) {
      REQUIRE(value >= -2);
      REQUIRE(value < 6);
      ++cells[static_cast<std::size_t>((value + 2) * 8)];
    }
    CHECK(std::abs(chi_square(cells) - 63) < 5 * std::sqrt(2 * 63.0));
  }
}

TEST_CASE("neighboring elements of randn are independent") {
  Rng rng(16);
  const auto values = randn({40000}, rng).to_vector();
  for (const std::size_t lag : {1U, 2U, 3U, 4U}) {
    const std::vector<double> a(values.begin(), values.end() - static_cast<std::ptrdiff_t>(lag));
    const std::vector<double> b(values.begin() + static_cast<std::ptrdiff_t>(lag), values.end());
    CHECK(std::abs(correlation(a, b)) < 5 / std::sqrt(40000));
  }
}

TEST_CASE("rand never returns its upper bound, however the range rounds") {
  Rng rng(17);
  // One step of f32: half of the draws would round up to the bound.
  for (const double value : rand({1000}, rng, 1, std::nextafter(1.0F, 2.0F)).to_vector()) CHECK(value == 1);
  for (const double value : rand({1000}, rng, 16777216, 16777220).to_vector()) CHECK(value < 16777220);
  for (const double value : rand({10}, rng, 3, 3).to_vector()) CHECK(value == 3);
}

TEST_CASE("bulk draws have the same bits for any number of threads") {
  const Threads restore;
  const Shape shape = {7, 14983};  // several chunks, a last block that is not full
  std::vector<Tensor> first;
  for (const int threads : {1, 2, 3, 5}) {
    set_num_threads(threads);
    Rng rng(18);
    std::vector<Tensor> drawn;
    for (const DType dtype : {DType::f32, DType::f64}) {
      drawn.push_back(randn(shape, rng, dtype));
      drawn.push_back(rand(shape, rng, 0, 1, dtype));
    }
    drawn.push_back(randperm(10007, rng));
    if (first.empty()) first = drawn;
    for (std::size_t i = 0; i < drawn.size(); ++i) CHECK(same_bits(drawn[i], first[i]));
  }
}

TEST_CASE("bulk draws use up whole blocks and never overlap") {
  Rng rng(19);
  randn({5}, rng);
  CHECK(rng.counter() == 2);
  rand({4}, rng);
  CHECK(rng.counter() == 3);
  randn({5}, rng, DType::f64);
  CHECK(rng.counter() == 6);
  randn({0, 3}, rng);
  CHECK(rng.counter() == 6);

  // Element i is fixed by key, counter and i: a longer tensor starts with the shorter one.
  Rng a(20), b(20);
  const auto brief = randn({10}, a).to_vector();
  const auto longer = randn({100}, b).to_vector();
  CHECK(std::equal(brief.begin(), brief.end(), longer.begin()));
  CHECK(randn({10}, a).to_vector() != brief);
}

TEST_CASE("randperm is a uniform permutation") {
  Rng rng(21);
  auto values = randperm(1000, rng).to_vector();
  std::sort(values.begin(), values.end());
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(values[i] == static_cast<double>(i));
  CHECK(randperm(0, rng).numel() == 0);
  CHECK(randperm(5, rng).dtype() == DType::i64);

  std::vector<double> orders(24);
  for (int i = 0; i < 24000; ++i) {
    const Tensor drawn = randperm(4, rng);
    const auto p = drawn.data<Index>();
    ++orders[static_cast<std::size_t>(p[0] * 6 + (p[1] - (p[1] > p[0])) * 2 + (p[2] > p[3]))];
  }
  CHECK(std::abs(chi_square(orders) - 23) < 5 * std::sqrt(2 * 23.0));
}

TEST_CASE("bulk draws refuse what they cannot make") {
  Rng rng(22);
  CHECK_THROWS_WITH(randn({2}, rng, DType::i64), Contains("randn: dtype is i64; expected f32 or f64"));
  CHECK_THROWS_WITH(rand({2}, rng, 0, 1, DType::bf16), Contains("rand: dtype is bf16"));
  CHECK_THROWS_WITH(rand({2}, rng, 1, 0), Contains("rand: [1, 0) is no range"));
  CHECK_THROWS_WITH(rand({2}, rng, 0, 1e39), Contains("of f32"));
  CHECK_THROWS_AS(rand({2}, rng, 0, std::nan("")), Error);
  CHECK_THROWS_AS(rand({2}, rng, -1e308, 1e308, DType::f64), Error);
  CHECK_THROWS_WITH(randperm(-1, rng), Contains("randperm: count is -1"));
  CHECK(rng.counter() == 0);
}
