// Checksums that tell the published bytes from others.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace gradus::data {

/// SHA-256 (FIPS 180-4) of the bytes, as 64 lower-case hexadecimal digits.
std::string sha256(std::span<const std::uint8_t> bytes);

}  // namespace gradus::data
