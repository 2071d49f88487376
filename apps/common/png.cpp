// stb_image decodes, but it checks neither checksums nor how far the packed pixels unfold, and its packaged version
// lags behind its fixes. So everything about the file is verified here first, with zlib, and only then decoded.
#include "apps/common/png.h"

#include "core/error.h"
#include "core/file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 4096
#include <stb_image.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

namespace gradus::apps {
namespace {

constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n", 8);

std::uint32_t from_big_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint8_t>(bytes[static_cast<std::size_t>(i)]);
  return value;
}

std::string big_endian(std::size_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(value >> shift & 0xff));
  return bytes;
}

struct Chunk {
  std::size_t offset;  // of its length field in the file
  std::string_view type;
  std::string_view data;
};

struct Header {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  int depth = 0;  // bits a sample
  int color = 0;  // 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA
  bool interlaced = false;

  std::uint64_t bits_per_pixel() const {
    constexpr std::array kSamples = {1, 0, 3, 1, 2, 0, 4};
    return static_cast<std::uint64_t>(kSamples[static_cast<std::size_t>(color)] * depth);
  }
};

/// The verification of one file. Its messages begin with the file's name.
class Checker {
 public:
  Checker(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  /// The same picture in its plainest form for the decoder: header, palette, transparency, all pixels in one chunk.
  std::string check() {
    if (bytes_.substr(0, kSignature.size()) != kSignature) {
      reject(bytes_.size() < kSignature.size() ? "the file is too short for a PNG" : "not a PNG file",
             "its first eight bytes are not the PNG signature");
    }
    std::size_t at = kSignature.size();
    const Chunk first = read_chunk(at);
    check_header(first);

    std::string plain(bytes_.substr(0, at));
    std::string packed;
    std::string_view before = first.type;
    std::size_t palette = 0;  // entries
    while (before != "IEND") {
      const std::size_t start = at;
      const Chunk chunk = read_chunk(at);
      if (chunk.type == "PLTE" || chunk.type == "tRNS") plain += bytes_.substr(start, at - start);
      if (chunk.type == "IHDR") reject(chunk, "a second header");
      if (chunk.type == "PLTE") {
        if (palette != 0 || !packed.empty()) reject(chunk, "the palette must come once, before the pixels");
        if (header_.color == 0 || header_.color == 4) reject(chunk, "a gray picture must not have a palette");
        if (chunk.data.empty() || chunk.data.size() % 3 != 0 || chunk.data.size() > 768)
          reject(chunk, fmt::format("a palette has 3 to 768 bytes, three a color; found {}", chunk.data.size()));
        palette = chunk.data.size() / 3;
      } else if (chunk.type == "tRNS") {
        check_transparency(chunk, palette, !packed.empty());
      } else if (chunk.type == "IDAT") {
        if (header_.color == 3 && palette == 0) reject(chunk, "the palette is missing");
        if (!packed.empty() && before != "IDAT") reject(chunk, "the pixels are interrupted by another chunk");
        packed += chunk.data;
      } else if (chunk.type == "IEND") {
        if (!chunk.data.empty()) reject(chunk, "the end chunk is not empty");
      } else if (std::isupper(static_cast<unsigned char>(chunk.type[0]))) {
        reject(chunk, "unknown, and marked as one that no reader may skip");
      }
      before = chunk.type;
    }
    if (packed.empty()) reject("no pixels", "there is no IDAT chunk with data");
    check_packed(packed);
    constexpr std::string_view kNoChecksum("\0\0\0\0", 4);  // the decoder does not look at checksums
    for (const auto& [type, data] : {std::pair("IDAT", packed), std::pair("IEND", std::string())})
      plain.append(big_endian(data.size())).append(type).append(data).append(kNoChecksum);
    return plain;
  }

 private:
  [[noreturn]] void reject(const std::string& fault, const std::string& detail) const {
    fail(fmt::format("picture \"{}\": {}\n  {}", name_, fault, detail));
  }
  [[noreturn]] void reject(const Chunk& chunk, const std::string& detail) const {
    reject("damaged PNG", fmt::format("chunk {} at byte {}: {}", chunk.type, chunk.offset, detail));
  }

  /// Reads the chunk at byte `at` and moves behind it.
  Chunk read_chunk(std::size_t& at) const {
    constexpr std::size_t kFrame = 12;  // length, type, checksum
    const std::string_view rest = bytes_.substr(at);
    const auto truncated = [&](std::uint64_t needed) {
      reject("truncated PNG",
             fmt::format("byte {}: a chunk needs {} bytes, the file has {} left", at, needed, rest.size()));
    };
    if (rest.size() < kFrame) truncated(kFrame);
    const std::uint32_t length = from_big_endian(rest);
    const Chunk chunk{at, rest.substr(4, 4), rest.substr(8, length)};
    if (!std::all_of(chunk.type.begin(), chunk.type.end(), [](unsigned char c) { return std::isalpha(c) != 0; }))
      reject("damaged PNG", fmt::format("byte {}: a chunk's type must be four letters", at + 4));
    if (length > rest.size() - kFrame) truncated(length + std::uint64_t{kFrame});
    const std::uint32_t expected = from_big_endian(rest.substr(8 + length));
    const auto* checked = reinterpret_cast<const Bytef*>(rest.data() + 4);
    const auto found = static_cast<std::uint32_t>(::crc32(0, checked, static_cast<uInt>(length + 4)));
    if (found != expected) reject(chunk, fmt::format("checksum {:08x} stored, {:08x} computed", expected, found));
    at += length + kFrame;
    return chunk;
  }

  void check_header(const Chunk& chunk) {
    if (chunk.type != "IHDR") reject(chunk, "the header chunk IHDR must come first");
    if (chunk.data.size() != 13) reject(chunk, fmt::format("a header has 13 bytes, found {}", chunk.data.size()));
    const auto field = [&](std::size_t i) { return static_cast<int>(static_cast<std::uint8_t>(chunk.data[i])); };
    header_ = {from_big_endian(chunk.data), from_big_endian(chunk.data.substr(4)), field(8), field(9), field(12) == 1};
    if (header_.width == 0 || header_.height == 0)
      reject(chunk, fmt::format("a picture of {} x {} pixels", header_.width, header_.height));
    if (header_.width > kMaxPngSide || header_.height > kMaxPngSide)
      reject("too large", fmt::format("{} x {} pixels; at most {} x {} are read\n  hint: scale the picture down",
                                      header_.width, header_.height, kMaxPngSide, kMaxPngSide));
    const bool color_known = header_.color <= 6 && header_.color != 1 && header_.color != 5;
    const bool depth_known = header_.depth == 8 || (header_.depth == 16 && header_.color != 3) ||
                             ((header_.color == 0 || header_.color == 3) &&
                              (header_.depth == 1 || header_.depth == 2 || header_.depth == 4));
    if (!color_known || !depth_known)
      reject(chunk, fmt::format("color type {} with {} bits is not allowed", header_.color, header_.depth));
    if (field(10) != 0 || field(11) != 0 || field(12) > 1)
      reject(chunk, fmt::format("unknown packing {}, filter {} or interlacing {}", field(10), field(11), field(12)));
  }

  void check_transparency(const Chunk& chunk, std::size_t palette, bool pixels_seen) const {
    if (pixels_seen) reject(chunk, "transparency must come before the pixels");
    const std::size_t size = chunk.data.size();
    const bool fits = header_.color == 0   ? size == 2
                      : header_.color == 2 ? size == 6
                      : header_.color == 3 ? size >= 1 && size <= palette
                                           : false;
    if (!fits) reject(chunk, fmt::format("{} bytes do not fit color type {}", size, header_.color));
  }

  /// Bytes of the unpacked rows, each with its filter byte; of all seven passes when interlaced.
  std::uint64_t unpacked_size() const {
    struct Pass {
      std::uint32_t x, y, step_x, step_y;
    };
    constexpr std::array<Pass, 7> kAdam7 = {
        {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}};
    constexpr std::array<Pass, 1> kWhole = {{{0, 0, 1, 1}}};
    const std::span<const Pass> passes =
        header_.interlaced ? std::span<const Pass>(kAdam7) : std::span<const Pass>(kWhole);
    std::uint64_t bytes = 0;
    for (const auto& pass : passes) {
      if (header_.width <= pass.x || header_.height <= pass.y) continue;
      const std::uint64_t columns = (header_.width - pass.x + pass.step_x - 1) / pass.step_x;
      const std::uint64_t rows = (header_.height - pass.y + pass.step_y - 1) / pass.step_y;
      bytes += rows * (1 + (columns * header_.bits_per_pixel() + 7) / 8);
    }
    return bytes;
  }

  /// Unpacks into nowhere: the stream must be whole and yield what the header promises, neither less nor a flood.
  void check_packed(const std::string& packed) const {
    const std::uint64_t expected = unpacked_size();
    z_stream stream{};
    if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
    const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    std::vector<Bytef> scratch(1 << 16);
    std::uint64_t unpacked = 0;
    int status = Z_OK;
    while (status == Z_OK && unpacked <= expected) {
      stream.next_out = scratch.data();
      stream.avail_out = static_cast<uInt>(scratch.size());
      status = inflate(&stream, Z_NO_FLUSH);
      unpacked += scratch.size() - stream.avail_out;
    }
    if (status != Z_OK && status != Z_STREAM_END)
      reject("damaged PNG",
             fmt::format("the packed pixels cannot be unpacked: {}", stream.msg ? stream.msg : "they end too early"));
    if (unpacked != expected)
      reject("damaged PNG", fmt::format("the pixels unpack to {} {} bytes, the header needs {}",
                                        unpacked > expected ? "at least" : "only", unpacked, expected));
  }

  std::string_view bytes_;
  const std::string& name_;
  Header header_;
};

}  // namespace

Image decode_png(std::string_view bytes, const std::string& name) {
  const std::string plain = Checker(bytes, name).check();
  const auto* data = reinterpret_cast<const stbi_uc*>(plain.data());
  const auto size = static_cast<int>(plain.size());
  constexpr int kRgba = 4;
  int width = 0, height = 0, channels_in_file = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_info_from_memory(data, size, &width, &height, &channels_in_file)
          ? stbi_load_from_memory(data, size, &width, &height, &channels_in_file, kRgba)
          : nullptr,
      stbi_image_free);
  if (!decoded) fail(fmt::format("picture \"{}\": cannot be decoded\n  {}", name, stbi_failure_reason()));
  const std::size_t count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * kRgba;
  return {width, height, kRgba, {decoded.get(), decoded.get() + count}};
}

Image read_png(const std::string& path) { return decode_png(read_file(path, kMaxPngFile), path); }

void write_png(const std::string& path, const Image& image) {
  const std::size_t row = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.channels);
  GRADUS_CHECK(image.width > 0 && image.height > 0 && image.channels >= 1 && image.channels <= 4 &&
                   image.pixels.size() == row * static_cast<std::size_t>(image.height),
               fmt::format("write_png: {} bytes are not a picture of {} x {} pixels with {} channels",
                           image.pixels.size(), image.width, image.height, image.channels));
  std::string packed;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
  };
  if (!stbi_write_png_to_func(append, &packed, image.width, image.height, image.channels, image.pixels.data(),
                              static_cast<int>(row)))
    throw std::bad_alloc();
  write_file(path, packed);
}

}  // namespace gradus::apps
