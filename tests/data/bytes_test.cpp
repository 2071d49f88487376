// Files and gzip: limits, damage at every place, bombs.
#include "data/bytes.h"

#include "data/sha256.h"
#include "tests/data/fixtures.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>

using namespace gradus;
using namespace gradus::data;
using namespace gradus::testing;
using Catch::Matchers::Contains;

namespace {

Bytes sample(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * i / 7 + i);
  return bytes;
}

}  // namespace

TEST_CASE("read_bytes reads a whole file within its limit") {
  const TemporaryFolder folder;
  const Bytes content = sample(1000);
  const std::string file = save(folder / "a b", content);
  CHECK(read_bytes(file, 1000) == content);
  CHECK(read_bytes(save(folder / "empty", {}), 0).empty());
  CHECK_THROWS_WITH(read_bytes(file, 999), Contains(file) && Contains("has 1000 bytes; at most 999 are accepted"));
}

TEST_CASE("read_bytes names what it cannot read") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_bytes(folder / "nothing", 10), Contains(folder / "nothing") && Contains("No such file"));
  CHECK_THROWS_WITH(read_bytes(folder.path().string(), 10), Contains(folder.path().string()));
  CHECK_THROWS_AS(read_bytes("/dev/zero", 10), Error);
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(read_bytes(folder / "pipe", 10), Error);  // and does not wait for a writer
}

TEST_CASE("gunzip unpacks what gzip packed") {
  for (const std::size_t size : {0U, 1U, 100U, 70000U, 1000000U}) {
    const Bytes content = sample(size);
    CHECK(gunzip(gzip(content), size, "f") == content);
    CHECK(gunzip(gzip(content), size + 1, "f") == content);
    CHECK(gunzip(gzip(content), std::size_t{1} << 40, "f") == content);
  }
}

TEST_CASE("gunzip reads several members as one") {
  CHECK(gunzip(gzip({1, 2}) + gzip({}) + gzip({3}), 3, "f") == Bytes{1, 2, 3});
  CHECK_THROWS_WITH(gunzip(gzip({1, 2}) + gzip({3}), 2, "f"), Contains("more than the 2 bytes"));
}

TEST_CASE("gunzip refuses a stream that is cut at any length") {
  const Bytes packed = gzip(sample(300));
  for (std::size_t length = 0; length < packed.size(); ++length) {
    const Bytes cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(length));
    const std::string error = error_of([&] { gunzip(cut, 1000, "some.gz"); });
    CHECK_THAT(error, Contains("some.gz is " + std::string(length < 2 ? "not gzip" : "cut short")));
  }
}

TEST_CASE("gunzip never gives other bytes for a damaged stream") {
  const Bytes content = sample(300);
  const Bytes packed = gzip(content);
  int refused = 0;
  for (std::size_t at = 0; at < packed.size(); ++at) {
    Bytes damaged = packed;
    damaged[at] ^= 0x10;
    try {
      const Bytes unpacked = gunzip(damaged, 1000, "some.gz");
      CHECK(unpacked == content);  // a bit without meaning, as in the time stamp
    } catch (const Error& error) {
      ++refused;
      CHECK_THAT(error.what(), Contains("some.gz"));
    }
  }
  CHECK(refused > 300);
}

TEST_CASE("gunzip refuses other bytes before, after and instead") {
  CHECK_THROWS_WITH(gunzip(Bytes{'h', 'i', '!'}, 10, "f"),
                    Contains("expected the bytes 1f 8b at its start, found 68 69"));
  CHECK_THROWS_WITH(gunzip(Bytes{}, 10, "f"), Contains("a file of 0 bytes"));
  const Bytes packed = gzip({1, 2, 3});
  CHECK_THROWS_WITH(gunzip(packed + Bytes{0}, 10, "f"), Contains("trailing bytes") && Contains("at byte 23"));
  CHECK_THROWS_WITH(gunzip(packed + Bytes{'x', 'y'}, 10, "f"), Contains("trailing bytes"));
}

TEST_CASE("gunzip stops a bomb at its limit") {
  const Bytes bomb = gzip(Bytes(10000000));
  CHECK(bomb.size() < 10000);
  CHECK_THROWS_WITH(gunzip(bomb, 9999999, "bomb.gz"),
                    Contains("bomb.gz unpacks to more than the 9999999 bytes that are accepted"));
  CHECK_THROWS_WITH(gunzip(bomb, 0, "bomb.gz"), Contains("more than the 0 bytes"));
}

TEST_CASE("gunzip does not believe the size in the trailer") {
  Bytes packed = gzip(sample(100));
  for (std::size_t i = 1; i <= 4; ++i) packed[packed.size() - i] = 0xff;  // 4 GiB
  CHECK_THROWS_WITH(gunzip(packed, std::size_t{1} << 40, "f"), Contains("f is damaged"));
}

TEST_CASE("read_unpacked tells gzip by its content") {
  const TemporaryFolder folder;
  const Bytes content = sample(5000);
  CHECK(read_unpacked(save(folder / "plain.gz", content), 5000) == content);
  CHECK(read_unpacked(save(folder / "packed", gzip(content)), 5000) == content);
  CHECK_THROWS_WITH(read_unpacked(folder / "plain.gz", 4999), Contains("at most 4999"));
  CHECK_THROWS_WITH(read_unpacked(folder / "packed", 4999), Contains("more than the 4999 bytes"));
}

TEST_CASE("sha256 gives the published answers") {
  const std::string abc = "abc";
  CHECK(sha256(Bytes{}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256(Bytes(abc.begin(), abc.end())) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(Bytes(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
