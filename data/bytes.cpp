#include "data/bytes.h"

#include "core/error.h"
#include "core/file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>

namespace gradus::data {

namespace {

// zlib's state for one gzip stream.
class Inflater {
 public:
  Inflater() {
    constexpr int kGzipOnly = 16;
    GRADUS_CHECK(inflateInit2(&stream, MAX_WBITS + kGzipOnly) == Z_OK, "gunzip: zlib cannot start (out of memory?)");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
};

// A first guess of the unpacked size: what the trailer says, but no more than deflate can reach (1032 : 1), so that a
// lie costs nothing.
std::size_t expected_size(std::span<const std::uint8_t> packed) {
  if (packed.size() < 4) return 0;
  std::size_t size = 0;
  for (std::size_t i = 0; i < 4; ++i) size |= std::size_t{packed[packed.size() - 4 + i]} << (8 * i);
  return std::min(size, 1032 * packed.size());
}

}  // namespace

Bytes read_bytes(const std::string& file, std::size_t max_bytes) {
  InputFile input(file);
  GRADUS_CHECK(input.size() <= max_bytes,
               fmt::format("read_bytes: {} is too large\n  has {} bytes; at most {} are accepted", file, input.size(),
                           max_bytes));
  Bytes bytes(input.size());
  input.read(std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

bool is_gzip(std::span<const std::uint8_t> bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

Bytes gunzip(std::span<const std::uint8_t> packed, std::size_t max_bytes, const std::string& file) {
  GRADUS_CHECK(is_gzip(packed),
               fmt::format("gunzip: {} is not gzip\n  expected the bytes 1f 8b at its start, found {}", file,
                           packed.size() < 2 ? fmt::format("a file of {} bytes", packed.size())
                                             : fmt::format("{:02x} {:02x}", packed[0], packed[1])));
  Bytes out(std::min(expected_size(packed), max_bytes));
  std::size_t in_done = 0, out_done = 0;
  Inflater inflater;
  z_stream& stream = inflater.stream;
  for (;;) {
    // zlib counts in 32 bits, so both sides go in pieces.
    constexpr std::size_t kPiece = std::numeric_limits<uInt>::max();
    const auto in_piece = static_cast<uInt>(std::min(packed.size() - in_done, kPiece));
    const auto out_piece = static_cast<uInt>(std::min(out.size() - out_done, kPiece));
    std::uint8_t beyond = 0;  // takes one byte more when `out` is full: is there any?
    stream.next_in = const_cast<Bytef*>(packed.data() + in_done);
    stream.avail_in = in_piece;
    stream.next_out = out_piece > 0 ? out.data() + out_done : &beyond;
    stream.avail_out = std::max(out_piece, uInt{1});
    const int result = inflate(&stream, Z_NO_FLUSH);
    const std::size_t produced = std::max(out_piece, uInt{1}) - stream.avail_out;
    in_done += in_piece - stream.avail_in;

    GRADUS_CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR,
                 fmt::format("gunzip: {} is damaged\n  {} near byte {} of {}", file,
                             stream.msg ? stream.msg : "the stream breaks off", in_done, packed.size()));
    GRADUS_CHECK(out_piece > 0 || produced == 0 || out.size() < max_bytes,
                 fmt::format("gunzip: {} unpacks to more than the {} bytes that are accepted", file, max_bytes));
    if (out_piece == 0 && produced > 0) {
      out.resize(std::min(max_bytes, std::max<std::size_t>(2 * out.size(), 1 << 16)));
      out[out_done] = beyond;
    }
    out_done += produced;

    if (result == Z_STREAM_END) {
      if (in_done == packed.size()) break;
      GRADUS_CHECK(is_gzip(packed.subspan(in_done)),
                   fmt::format("gunzip: {} has trailing bytes\n  the gzip data end at byte {}, the file at byte {}",
                               file, in_done, packed.size()));
      inflateReset(&stream);  // another member follows, as `cat a.gz b.gz` makes it
    } else {
      GRADUS_CHECK(
          in_done < packed.size() || produced > 0,
          fmt::format("gunzip: {} is cut short\n  its {} bytes end in the middle of the data ({} bytes unpacked so "
                      "far)\n  hint: an interrupted copy or download?",
                      file, packed.size(), out_done));
    }
  }
  out.resize(out_done);
  return out;
}

Bytes read_unpacked(const std::string& file, std::size_t max_bytes) {
  // Bytes that do not shrink by packing grow a little: gzip's worst case is far below an eighth.
  const std::size_t max_packed = max_bytes + max_bytes / 8 + 1024;
  Bytes bytes = read_bytes(file, max_packed);
  if (is_gzip(bytes)) return gunzip(bytes, max_bytes, file);
  GRADUS_CHECK(bytes.size() <= max_bytes,
               fmt::format("read_bytes: {} is too large\n  has {} bytes; at most {} are accepted", file, bytes.size(),
                           max_bytes));
  return bytes;
}

}  // namespace gradus::data
