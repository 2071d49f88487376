#include "data/idx.h"

#include "core/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace gradus::data {

namespace {

constexpr std::uint8_t kUnsignedByte = 0x08;

std::string_view type_name(std::uint8_t code) {
  switch (code) {
    case 0x08: return "unsigned bytes";
    case 0x09: return "signed bytes";
    case 0x0B: return "16-bit integers";
    case 0x0C: return "32-bit integers";
    case 0x0D: return "32-bit floats";
    case 0x0E: return "64-bit floats";
    default: return "no known type";
  }
}

std::uint32_t big_endian(std::span<const std::uint8_t> bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 | std::uint32_t{bytes[at + 2]} << 8 |
         std::uint32_t{bytes[at + 3]};
}

}  // namespace

IdxArray read_idx(const std::string& file, int rank, std::size_t max_bytes) {
  return parse_idx(read_unpacked(file, max_bytes), rank, file);
}

IdxArray parse_idx(Bytes content, int rank, const std::string& file) {
  GRADUS_CHECK(rank >= 1 && rank <= kMaxRank,
               fmt::format("idx: rank {} was asked for; allowed are 1 to {}", rank, kMaxRank));
  GRADUS_CHECK(content.size() >= 4, fmt::format("idx: {} is too short\n  has {} bytes; the magic number alone takes 4",
                                                file, content.size()));
  GRADUS_CHECK(content[0] == 0 && content[1] == 0,
               fmt::format("idx: {} is not an IDX file\n  offset 0, magic number: expected 00 00, found {:02x} {:02x}",
                           file, content[0], content[1]));
  GRADUS_CHECK(
      content[2] == kUnsignedByte,
      fmt::format("idx: {} holds values of another type\n  offset 2, type: expected {:02x} ({}), found {:02x} ({})",
                  file, kUnsignedByte, type_name(kUnsignedByte), content[2], type_name(content[2])));
  GRADUS_CHECK(content[3] == rank,
               fmt::format("idx: {} has another number of axes\n  offset 3, rank: expected {}, found {}\n"
                           "  hint: images have rank 3, labels rank 1; are the files swapped?",
                           file, rank, content[3]));
  const std::size_t header = 4 + 4 * static_cast<std::size_t>(rank);
  GRADUS_CHECK(content.size() >= header,
               fmt::format("idx: {} is cut short\n  has {} bytes; the header of rank {} takes {}", file, content.size(),
                           rank, header));

  const std::size_t available = content.size() - header;
  std::vector<Index> counts;
  std::size_t expected = 1;  // product of the counts, kept at available + 1 once it is larger: it cannot overflow
  for (int axis = 0; axis < rank; ++axis) {
    const std::uint32_t count = big_endian(content, 4 + 4 * static_cast<std::size_t>(axis));
    counts.push_back(count);
    expected = count > 0 && expected > available / count ? available + 1 : expected * count;
  }
  GRADUS_CHECK(expected == available,
               fmt::format("idx: {} has {} values than its header says\n  offset 4, counts: {} values\n  offset {}, "
                           "values: {}",
                           file, available < expected ? "fewer" : "more", fmt::join(counts, " x "), header, available));
  content.erase(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(header));
  return {Shape(counts), std::move(content)};
}

}  // namespace gradus::data
