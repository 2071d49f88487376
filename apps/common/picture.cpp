#include "apps/common/picture.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace gradus::apps {
namespace {

/// Gray levels from 0 to 255, row by row.
struct Gray {
  int width;
  int height;
  std::vector<float> levels;

  float& at(int x, int y) {
    return levels[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)];
  }
  float at(int x, int y) const { return const_cast<Gray*>(this)->at(x, y); }
};

/// Luma by ITU-R BT.601, the weights of gray conversion in most image tools.
float luma(const std::uint8_t* rgba) {
  return 0.299f * static_cast<float>(rgba[0]) + 0.587f * static_cast<float>(rgba[1]) +
         0.114f * static_cast<float>(rgba[2]);
}

Gray on_backdrop(const Image& rgba) {
  double covered = 0, light = 0;
  for (std::size_t i = 0; i < rgba.pixels.size(); i += 4) {
    covered += rgba.pixels[i + 3];
    light += static_cast<double>(luma(&rgba.pixels[i])) * rgba.pixels[i + 3];
  }
  const float backdrop = light > 127.5 * covered ? 0.0f : 255.0f;

  Gray gray{rgba.width, rgba.height, std::vector<float>(rgba.pixels.size() / 4)};
  for (std::size_t i = 0; i < gray.levels.size(); ++i) {
    const float alpha = static_cast<float>(rgba.pixels[4 * i + 3]) / 255.0f;
    gray.levels[i] = alpha * luma(&rgba.pixels[4 * i]) + (1 - alpha) * backdrop;
  }
  return gray;
}

/// The background: the mean of the two middle ones of the four corners, so that one odd corner does not decide.
float corner_level(const Gray& gray) {
  const int right = gray.width - 1, bottom = gray.height - 1;
  std::array<float, 4> corners = {gray.at(0, 0), gray.at(right, 0), gray.at(0, bottom), gray.at(right, bottom)};
  std::sort(corners.begin(), corners.end());
  return (corners[1] + corners[2]) / 2;
}

/// The part inside the edges that look like the background; all of it when nothing stands out.
Gray trimmed(const Gray& gray, float background) {
  const float tolerance = 0.05f * 255.0f;
  int left = gray.width, right = -1, top = gray.height, bottom = -1;
  for (int y = 0; y < gray.height; ++y) {
    for (int x = 0; x < gray.width; ++x) {
      if (std::abs(gray.at(x, y) - background) <= tolerance) continue;
      left = std::min(left, x);
      right = std::max(right, x);
      top = std::min(top, y);
      bottom = y;
    }
  }
  if (right < 0) return gray;
  Gray inside{right - left + 1, bottom - top + 1, {}};
  for (int y = top; y <= bottom; ++y)
    for (int x = left; x <= right; ++x) inside.levels.push_back(gray.at(x, y));
  return inside;
}

/// Scales along x: each new pixel is the mean over the stretch of old ones that it covers. Enlarging repeats pixels.
Gray scaled_x(const Gray& gray, int width) {
  Gray result{width, gray.height,
              std::vector<float>(static_cast<std::size_t>(width) * static_cast<std::size_t>(gray.height))};
  const double step = static_cast<double>(gray.width) / width;
  for (int x = 0; x < width; ++x) {
    const double from = x * step, to = (x + 1) * step;
    const int first = static_cast<int>(from);
    const int last = std::min(static_cast<int>(std::ceil(to)), gray.width);
    for (int y = 0; y < gray.height; ++y) {
      double sum = 0;
      for (int old = first; old < last; ++old)
        sum += gray.at(old, y) * (std::min(to, old + 1.0) - std::max(from, static_cast<double>(old)));
      result.at(x, y) = static_cast<float>(sum / step);
    }
  }
  return result;
}

Gray transposed(const Gray& gray) {
  Gray result{gray.height, gray.width, {}};
  result.levels.reserve(gray.levels.size());
  for (int x = 0; x < gray.width; ++x)
    for (int y = 0; y < gray.height; ++y) result.levels.push_back(gray.at(x, y));
  return result;
}

/// The longest side becomes `side`; the other keeps the shape, at least one pixel.
Gray fitted(const Gray& gray, int side) {
  const double factor = static_cast<double>(side) / std::max(gray.width, gray.height);
  const int width = std::max(1, static_cast<int>(std::lround(gray.width * factor)));
  const int height = std::max(1, static_cast<int>(std::lround(gray.height * factor)));
  return transposed(scaled_x(transposed(scaled_x(gray, width)), height));
}

}  // namespace

Image to_example(const Image& rgba, int side) {
  GRADUS_CHECK(
      rgba.channels == 4 && rgba.width > 0 && rgba.height > 0 && side > 0,
      fmt::format("to_example: needs an RGBA picture and a side above 0, got {} x {} with {} channels and side {}",
                  rgba.width, rgba.height, rgba.channels, side));
  Gray gray = on_backdrop(rgba);
  if (corner_level(gray) > 127.5f)
    for (float& level : gray.levels) level = 255.0f - level;
  if (gray.width != side || gray.height != side) {
    // The set's background is exactly black; a photo's is only nearly so after inversion.
    const float background = corner_level(gray);
    gray = fitted(trimmed(gray, background), side);
    for (float& level : gray.levels) level = std::max(0.0f, (level - background) * 255.0f / (255.0f - background));
  }

  Image example{side, side, 1,
                std::vector<std::uint8_t>(static_cast<std::size_t>(side) * static_cast<std::size_t>(side))};
  const int left = (side - gray.width) / 2, top = (side - gray.height) / 2;
  for (int y = 0; y < gray.height; ++y)
    for (int x = 0; x < gray.width; ++x)
      example.pixels[static_cast<std::size_t>((top + y) * side + left + x)] =
          static_cast<std::uint8_t>(std::lround(std::clamp(gray.at(x, y), 0.0f, 255.0f)));
  return example;
}

}  // namespace gradus::apps
