#include "apps/common/png.h"

#include "core/file.h"
#include "tests/support.h"

#include <catch2/catch.hpp>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <vector>

using namespace gradus;
using apps::Image;
using Catch::Matchers::Contains;
using gradus::testing::error_of;
using gradus::testing::TemporaryFolder;

namespace {

// --- making PNG files by hand, right and wrong ones ---

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(value >> shift & 0xff));
  return bytes;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string checked = type + data;
  const auto sum = ::crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + checked + big_endian(static_cast<std::uint32_t>(sum));
}

enum Color { gray = 0, rgb = 2, palette = 3, gray_alpha = 4, rgba = 6 };

std::string ihdr(std::uint32_t width, std::uint32_t height, int depth, int color, int interlace = 0) {
  std::string data = big_endian(width) + big_endian(height);
  for (const int field : {depth, color, 0, 0, interlace}) data.push_back(static_cast<char>(field));
  return chunk("IHDR", data);
}

std::string packed(const std::string& raw) {
  std::string bytes(compressBound(raw.size()), '\0');
  uLongf size = bytes.size();
  compress(reinterpret_cast<Bytef*>(bytes.data()), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  bytes.resize(size);
  return bytes;
}

std::string idat(const std::string& raw) { return chunk("IDAT", packed(raw)); }

const std::string kSignature("\x89PNG\r\n\x1a\n", 8);
const std::string kEnd = chunk("IEND", "");

/// Bytes from numbers, for rows: each begins with its filter, 0.
std::string bytes(const std::vector<int>& values) { return {values.begin(), values.end()}; }

using Pixels = std::vector<std::uint8_t>;

Image decode(const std::string& file) { return apps::decode_png(file, "x.png"); }
std::string fault(const std::string& file) {
  return error_of([&] { decode(file); });
}

/// A picture with every chunk that is looked into: 2 x 2, two colors, the second half transparent.
const std::string kWithPalette = kSignature + ihdr(2, 2, 1, palette) + chunk("gAMA", big_endian(45455)) +
                                 chunk("PLTE", bytes({255, 0, 0, 0, 0, 255})) + chunk("tRNS", bytes({255, 128})) +
                                 idat(bytes({0, 0x40, 0, 0x80})) + kEnd;

}  // namespace

TEST_CASE("PNG of every color type and depth arrives as RGBA") {
  const auto one = [](const std::string& header, const std::string& raw) {
    return decode(kSignature + header + idat(raw) + kEnd);
  };

  SECTION("1 x 1") {
    const Image image = one(ihdr(1, 1, 8, gray), bytes({0, 77}));
    CHECK(image.width == 1);
    CHECK(image.height == 1);
    CHECK(image.channels == 4);
    CHECK(image.pixels == Pixels{77, 77, 77, 255});
  }
  SECTION("gray of 1, 2, 4, 8 and 16 bits") {
    CHECK(one(ihdr(2, 1, 1, gray), bytes({0, 0x40})).pixels == Pixels{0, 0, 0, 255, 255, 255, 255, 255});
    CHECK(one(ihdr(2, 1, 2, gray), bytes({0, 0x60})).pixels == Pixels{85, 85, 85, 255, 170, 170, 170, 255});
    CHECK(one(ihdr(2, 1, 4, gray), bytes({0, 0x1f})).pixels == Pixels{17, 17, 17, 255, 255, 255, 255, 255});
    CHECK(one(ihdr(2, 1, 8, gray), bytes({0, 9, 200})).pixels == Pixels{9, 9, 9, 255, 200, 200, 200, 255});
    CHECK(one(ihdr(1, 1, 16, gray), bytes({0, 0x12, 0x34})).pixels == Pixels{0x12, 0x12, 0x12, 255});
  }
  SECTION("gray and alpha") {
    CHECK(one(ihdr(1, 1, 8, gray_alpha), bytes({0, 9, 100})).pixels == Pixels{9, 9, 9, 100});
    CHECK(one(ihdr(1, 1, 16, gray_alpha), bytes({0, 9, 0, 100, 0})).pixels == Pixels{9, 9, 9, 100});
  }
  SECTION("RGB and RGBA of 8 and 16 bits") {
    CHECK(one(ihdr(1, 1, 8, rgb), bytes({0, 1, 2, 3})).pixels == Pixels{1, 2, 3, 255});
    CHECK(one(ihdr(1, 1, 16, rgb), bytes({0, 1, 0, 2, 0, 3, 0})).pixels == Pixels{1, 2, 3, 255});
    CHECK(one(ihdr(1, 1, 8, rgba), bytes({0, 1, 2, 3, 4})).pixels == Pixels{1, 2, 3, 4});
    CHECK(one(ihdr(1, 1, 16, rgba), bytes({0, 1, 0, 2, 0, 3, 0, 4, 0})).pixels == Pixels{1, 2, 3, 4});
  }
  SECTION("palette with transparency") {
    CHECK(decode(kWithPalette).pixels == Pixels{255, 0, 0, 255, 0, 0, 255, 128, 0, 0, 255, 128, 255, 0, 0, 255});
  }
  SECTION("interlaced") {
    // 2 x 2: the first pass has (0, 0), the sixth (1, 0), the seventh the lower row.
    const Image image = one(ihdr(2, 2, 8, gray, 1), bytes({0, 1, 0, 2, 0, 3, 4}));
    CHECK(image.pixels == Pixels{1, 1, 1, 255, 2, 2, 2, 255, 3, 3, 3, 255, 4, 4, 4, 255});
  }
  SECTION("pixels in several chunks, and bytes after the end") {
    const std::string data = packed(bytes({0, 5}));
    CHECK(decode(kSignature + ihdr(1, 1, 8, gray) + chunk("IDAT", data.substr(0, 3)) + chunk("IDAT", data.substr(3)) +
                 kEnd + "left over")
              .pixels == Pixels{5, 5, 5, 255});
  }
}

TEST_CASE("a PNG cut off anywhere is refused") {
  for (std::size_t length = 0; length < kWithPalette.size(); ++length) {
    CAPTURE(length);
    CHECK_THAT(fault(kWithPalette.substr(0, length)), Contains("picture \"x.png\": "));
  }
}

TEST_CASE("a PNG with one bit flipped anywhere is refused") {
  REQUIRE(decode(kWithPalette).width == 2);
  for (std::size_t at = 0; at < kWithPalette.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = kWithPalette;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      CAPTURE(at, bit);
      CHECK_THAT(fault(damaged), Contains("picture \"x.png\": "));
    }
  }
}

TEST_CASE("PNG files that break a rule are refused with the reason") {
  const std::string pixel = idat(bytes({0, 5}));
  const std::string head = kSignature + ihdr(1, 1, 8, gray);
  const std::string colors = chunk("PLTE", bytes({1, 2, 3}));
  const std::string indexed = kSignature + ihdr(1, 1, 8, palette);
  struct Case {
    std::string file, reason;
  };
  const std::vector<Case> cases = {
      {"", "too short"},
      {"GIF89a, and so on", "not a PNG"},
      {kSignature + pixel + kEnd, "the header chunk IHDR must come first"},
      {kSignature + chunk("IHDR", "short") + kEnd, "a header has 13 bytes, found 5"},
      {kSignature + ihdr(0, 1, 8, gray) + pixel + kEnd, "0 x 1 pixels"},
      {kSignature + ihdr(4097, 1, 8, gray) + pixel + kEnd, "4097 x 1 pixels; at most 4096 x 4096"},
      {kSignature + ihdr(1, 1, 3, gray) + pixel + kEnd, "color type 0 with 3 bits"},
      {kSignature + ihdr(1, 1, 16, palette) + pixel + kEnd, "color type 3 with 16 bits"},
      {kSignature + ihdr(1, 1, 8, 5) + pixel + kEnd, "color type 5"},
      {kSignature + ihdr(1, 1, 8, gray, 2) + pixel + kEnd, "interlacing 2"},
      {head + ihdr(1, 1, 8, gray) + pixel + kEnd, "a second header"},
      {head + colors + pixel + kEnd, "a gray picture must not have a palette"},
      {indexed + chunk("PLTE", "1234") + pixel + kEnd, "three a color; found 4"},
      {indexed + pixel + kEnd, "the palette is missing"},
      {indexed + colors + colors + pixel + kEnd, "the palette must come once"},
      {indexed + colors + pixel + colors + kEnd, "before the pixels"},
      {indexed + colors + chunk("tRNS", "12") + pixel + kEnd, "2 bytes do not fit"},
      {head + pixel + chunk("tRNS", "12") + kEnd, "transparency must come before the pixels"},
      {head + pixel + chunk("tEXt", "a") + pixel + kEnd, "interrupted by another chunk"},
      {head + chunk("ABCD", "") + pixel + kEnd, "unknown, and marked as one that no reader may skip"},
      {head + chunk("AB4D", "") + pixel + kEnd, "must be four letters"},
      {head + kEnd, "no IDAT chunk"},
      {head + pixel + chunk("IEND", "x"), "the end chunk is not empty"},
      {head + idat(bytes({0})) + kEnd, "only 1 bytes, the header needs 2"},
      {head + idat(std::string(1 << 20, '\0')) + kEnd, "at least 65536 bytes, the header needs 2"},
      {head + chunk("IDAT", packed(bytes({0, 5})).substr(0, 4)) + kEnd, "they end too early"},
      {head + chunk("IDAT", "no zlib stream") + kEnd, "cannot be unpacked"},
      {head + idat(bytes({9, 5})) + kEnd, "invalid filter"},
  };
  for (const auto& [file, reason] : cases) CHECK_THAT(fault(file), Contains(reason));
}

TEST_CASE("pictures are read from and written to files") {
  const TemporaryFolder folder;
  const std::string path = folder / "a picture.png";
  apps::write_png(path, {2, 1, 1, {9, 200}});
  CHECK(apps::read_png(path).pixels == Pixels{9, 9, 9, 255, 200, 200, 200, 255});
  apps::write_png(path, {1, 1, 3, {1, 2, 3}});
  CHECK(apps::read_png(path).pixels == Pixels{1, 2, 3, 255});
  apps::write_png(path, {1, 2, 4, {1, 2, 3, 4, 5, 6, 7, 8}});
  CHECK(apps::read_png(path).pixels == Pixels{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(folder.entries() == 1);

  CHECK_THAT(error_of([&] { apps::write_png(path, {2, 2, 1, {1, 2, 3}}); }), Contains("2 x 2 pixels with 1 channels"));
  CHECK_THAT(error_of([&] { apps::read_png(folder / "none.png"); }), Contains("none.png"));
  CHECK_THAT(error_of([&] { apps::read_png(folder.path().string()); }), Contains("it is a folder"));
  write_file(folder / "large.png", "");
  std::filesystem::resize_file(folder / "large.png", apps::kMaxPngFile + 1);
  CHECK_THAT(error_of([&] { apps::read_png(folder / "large.png"); }), Contains("at most 16777216 are allowed"));
}
