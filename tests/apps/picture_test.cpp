#include "apps/common/picture.h"

#include "data/fashion_mnist.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>

using namespace gradus;
using apps::Image;
using apps::to_example;

namespace {

constexpr int kSide = 28;

/// An RGBA picture of one gray level.
Image plain(int width, int height, int level, int alpha = 255) {
  Image image{width, height, 4, {}};
  for (int i = 0; i < width * height; ++i)
    for (const int value : {level, level, level, alpha}) image.pixels.push_back(static_cast<std::uint8_t>(value));
  return image;
}

void paint(Image& image, int left, int top, int right, int bottom, int level, int alpha = 255) {
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x) {
      auto* pixel = image.pixels.data() + (y * image.width + x) * 4;
      pixel[0] = pixel[1] = pixel[2] = static_cast<std::uint8_t>(level);
      pixel[3] = static_cast<std::uint8_t>(alpha);
    }
}

int level(const Image& example, int x, int y) { return *example.at(x, y); }

}  // namespace

TEST_CASE("an image of the data set stays as it is") {
  Image image = plain(kSide, kSide, 0);
  for (int y = 4; y < 24; ++y)
    for (int x = 3; x < 25; ++x) paint(image, x, y, x + 1, y + 1, (x * 37 + y * 101) % 256);
  const Image example = to_example(image, kSide);
  CHECK(example.channels == 1);
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) REQUIRE(level(example, x, y) == *image.at(x, y));
}

TEST_CASE("no test image of Fashion-MNIST is taken for dark on light") {
  const data::FashionMnist set = data::load_fashion_mnist({.download = false});
  const data::Images& images = set.test.images();
  Image picture = plain(kSide, kSide, 0);
  Index changed = 0;
  for (Index i = 0; i < images.count; ++i) {
    const auto pixels = images.image(i);
    for (std::size_t p = 0; p < pixels.size(); ++p)
      for (std::size_t channel = 0; channel < 3; ++channel) picture.pixels[4 * p + channel] = pixels[p];
    const Image example = to_example(picture, kSide);
    changed += !std::equal(pixels.begin(), pixels.end(), example.pixels.begin());
  }
  CHECK(changed == 0);
}

TEST_CASE("dark on light is inverted, light on dark is not") {
  Image dark = plain(kSide, kSide, 255);
  paint(dark, 8, 8, 20, 20, 55);
  const Image inverted = to_example(dark, kSide);
  CHECK(level(inverted, 0, 0) == 0);
  CHECK(level(inverted, 10, 10) == 200);

  Image light = plain(kSide, kSide, 0);
  paint(light, 8, 8, 20, 20, 200);
  CHECK(to_example(light, kSide).pixels == inverted.pixels);

  paint(dark, 0, 0, 1, 1, 0);  // one odd corner does not decide
  CHECK(level(to_example(dark, kSide), 10, 10) == 200);
}

TEST_CASE("transparent parts take the backdrop that the object stands out from") {
  Image dark = plain(kSide, kSide, 90, 0);  // the color under transparent pixels must not matter
  paint(dark, 8, 8, 20, 20, 30);
  CHECK(level(to_example(dark, kSide), 0, 0) == 0);
  CHECK(level(to_example(dark, kSide), 10, 10) == 225);

  Image light = plain(kSide, kSide, 90, 0);
  paint(light, 8, 8, 20, 20, 240);
  CHECK(level(to_example(light, kSide), 0, 0) == 0);
  CHECK(level(to_example(light, kSide), 10, 10) == 240);
}

TEST_CASE("other sizes are trimmed, scaled by areas with their shape kept, and centered") {
  SECTION("half the size: each pixel is the mean of four") {
    Image image = plain(2 * kSide, 2 * kSide, 100);
    paint(image, 2, 2, 3, 3, 0);
    paint(image, 0, 0, 1, 1, 220);
    paint(image, 55, 55, 56, 56, 220);
    paint(image, 0, 55, 1, 56, 0);
    paint(image, 55, 0, 56, 1, 0);
    // Corners 0, 0, 220, 220: the background is their middle, 110, so nothing is trimmed.
    const Image example = to_example(image, kSide);
    CHECK(level(example, 10, 10) == 0);  // 100 is darker than the background
    CHECK(level(example, 0, 0) == Approx((130.0 - 110) * 255 / 145).margin(1));
  }
  SECTION("a tall object fills the height and stands in the middle") {
    Image image = plain(300, 500, 255);
    paint(image, 20, 100, 120, 300, 0);  // 100 x 200
    const Image example = to_example(image, kSide);
    for (int y = 0; y < kSide; ++y) {
      CAPTURE(y);
      CHECK(level(example, 6, y) == 0);
      CHECK(level(example, 7, y) == 255);
      CHECK(level(example, 20, y) == 255);
      CHECK(level(example, 21, y) == 0);
    }
  }
  SECTION("a wide one fills the width") {
    Image image = plain(100, 100, 0);
    paint(image, 10, 40, 66, 68, 180);  // 56 x 28
    const Image example = to_example(image, kSide);
    CHECK(level(example, 0, 14) == 180);
    CHECK(level(example, 27, 14) == 180);
    CHECK(level(example, 14, 6) == 0);
    CHECK(level(example, 14, 7) == 180);
  }
  SECTION("a background that is nearly white becomes black") {
    Image image = plain(100, 100, 245);
    paint(image, 20, 20, 80, 80, 50);
    paint(image, 40, 40, 60, 60, 245);  // a hole
    const Image example = to_example(image, kSide);
    CHECK(level(example, 14, 14) == 0);
    CHECK(level(example, 2, 2) == Approx((205 - 10) * 255.0 / 245).margin(1));
  }
  SECTION("small ones are enlarged") {
    Image image = plain(3, 3, 0);
    paint(image, 1, 1, 2, 2, 255);
    const Image example = to_example(image, kSide);
    CHECK(level(example, 0, 0) == 255);
    CHECK(level(example, 27, 27) == 255);
  }
}

TEST_CASE("pictures without an object give a plain example") {
  for (const int size : {1, 2, kSide, 300})
    for (const int gray : {0, 100, 255}) {
      const Image example = to_example(plain(size, size, gray), kSide);
      REQUIRE(example.pixels.size() == static_cast<std::size_t>(kSide * kSide));
      CHECK(*std::max_element(example.pixels.begin(), example.pixels.end()) <= 127);
    }
  CHECK(to_example(plain(5, 4096, 255, 0), kSide).pixels.size() == static_cast<std::size_t>(kSide * kSide));
}

TEST_CASE("to_example wants RGBA") {
  CHECK_THAT(gradus::testing::error_of([] {
               to_example({2, 2, 3, std::vector<std::uint8_t>(12)}, kSide);
             }),
             Catch::Matchers::Contains("with 3 channels"));
}
