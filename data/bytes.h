// Files as bytes, with limits: nothing is allocated because a file claims a size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace gradus::data {

using Bytes = std::vector<std::uint8_t>;

/// The whole content of a regular file. Error when it cannot be read or has more than `max_bytes`.
Bytes read_bytes(const std::string& file, std::size_t max_bytes);

/// True when the bytes start like a gzip member.
bool is_gzip(std::span<const std::uint8_t> bytes);

/// Unpacks gzip (one member or several, RFC 1952), checking its checksums. Memory grows with the data that come out,
/// never beyond `max_bytes`. Error, naming `file`, on bytes that are not gzip, damaged, cut short, or followed by
/// others.
Bytes gunzip(std::span<const std::uint8_t> packed, std::size_t max_bytes, const std::string& file);

/// The content of a file, unpacked when it is gzip (told by its first bytes, not by its name); at most `max_bytes` of
/// it.
Bytes read_unpacked(const std::string& file, std::size_t max_bytes);

}  // namespace gradus::data
