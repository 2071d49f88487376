// PNG pictures: strict reading of files from outside, and atomic writing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gradus::apps {

/// Bytes in rows from the top, channels interleaved: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<std::uint8_t> pixels;

  const std::uint8_t* at(int x, int y) const {
    return pixels.data() +
           (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) *
               static_cast<std::size_t>(channels);
  }
};

inline constexpr int kMaxPngSide = 4096;                // pixels
inline constexpr std::uint64_t kMaxPngFile = 16 << 20;  // bytes

/// Reads a PNG of any color type and bit depth as RGBA with 8 bits a channel. The whole structure (order and checksums
/// of the chunks, length of the packed pixels) is verified before the decoder sees a byte.
Image read_png(const std::string& path);
/// The same from memory; `name` is for messages.
Image decode_png(std::string_view bytes, const std::string& name);

/// Writes a PNG; an existing file is replaced whole or not at all.
void write_png(const std::string& path, const Image& image);

}  // namespace gradus::apps
