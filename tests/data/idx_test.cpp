// IDX files: what is read, and every way a header can lie.
#include "data/idx.h"

#include "tests/data/fixtures.h"

#include <catch2/catch.hpp>

using namespace gradus;
using namespace gradus::data;
using namespace gradus::testing;
using Catch::Matchers::Contains;

TEST_CASE("idx: plain and packed files give the same array") {
  const TemporaryFolder folder;
  const Bytes content = idx({2, 3}, {1, 2, 3, 4, 5, 6});
  for (const std::string& file : {save(folder / "a", content), save(folder / "b", gzip(content))}) {
    const IdxArray array = read_idx(file, 2);
    CHECK(array.shape == Shape{2, 3});
    CHECK(array.values == Bytes{1, 2, 3, 4, 5, 6});
  }
  CHECK_THROWS_WITH(read_idx(folder / "a", 2, 17), Contains("at most 17"));
  CHECK_THROWS_WITH(read_idx(folder / "b", 2, 17), Contains("more than the 17 bytes"));
}

TEST_CASE("idx: an array without values is an array") {
  CHECK(parse_idx(idx({0}, {}), 1, "f").shape == Shape{0});
  CHECK(parse_idx(idx({4000000000, 0}, {}), 2, "f").values.empty());
}

TEST_CASE("idx: a file cut at any length, and one with a byte too many, are refused") {
  const Bytes content = idx({2, 3, 2}, Bytes(12, 7));
  for (std::size_t length = 0; length < content.size(); ++length) {
    const Bytes cut(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(length));
    const std::string expected = length < 4    ? "too short"
                                 : length < 16 ? "cut short"
                                               : "fewer values than its header says";
    CHECK_THAT(error_of([&] { parse_idx(cut, 3, "train.idx"); }), Contains("train.idx") && Contains(expected));
  }
  CHECK_THROWS_WITH(parse_idx(content + Bytes{0}, 3, "train.idx"),
                    Contains("train.idx has more values than its header says") && Contains("2 x 3 x 2 values") &&
                        Contains("offset 16, values: 13"));
}

TEST_CASE("idx: counts that lie are refused, also when their product overflows") {
  CHECK_THROWS_WITH(parse_idx(idx({4294967295}, Bytes(8)), 1, "f"), Contains("4294967295 values"));
  CHECK_THROWS_WITH(parse_idx(idx({65536, 65536, 65536, 65536}, {}), 4, "f"),
                    Contains("fewer values") && Contains("65536 x 65536 x 65536 x 65536"));
  CHECK_THROWS_WITH(parse_idx(idx({4294967295, 4294967295, 4294967295}, Bytes(1)), 3, "f"), Contains("fewer values"));
}

TEST_CASE("idx: magic number, type and rank are named when they are wrong") {
  Bytes content = idx({2}, {1, 2});
  content[1] = 0x89;
  CHECK_THROWS_WITH(parse_idx(content, 1, "f"), Contains("not an IDX file") && Contains("expected 00 00, found 00 89"));
  content[1] = 0;
  content[2] = 0x0D;
  CHECK_THROWS_WITH(parse_idx(content, 1, "f"), Contains("offset 2, type") && Contains("found 0d (32-bit floats)"));
  content[2] = 0x42;
  CHECK_THROWS_WITH(parse_idx(content, 1, "f"), Contains("found 42 (no known type)"));
  content[2] = 8;
  CHECK_THROWS_WITH(parse_idx(content, 3, "f"), Contains("offset 3, rank: expected 3, found 1"));
  CHECK_THROWS_WITH(parse_idx(content, 7, "f"), Contains("rank 7 was asked for"));
}
