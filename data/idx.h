// IDX, the format of the MNIST family: a magic number with type and rank, the counts as big-endian u32, then the
// values.
#pragma once

#include "core/shape.h"
#include "data/bytes.h"

#include <cstddef>
#include <string>

namespace gradus::data {

/// An array of unsigned bytes.
struct IdxArray {
  Shape shape;
  Bytes values;  // row-major; as many as the shape says
};

/// Files above this are refused unless the caller says otherwise: ten times the training images of the MNIST family.
inline constexpr std::size_t kMaxIdxBytes = 512UL << 20;

/// Reads an IDX file of unsigned bytes with `rank` axes, plain or gzip.
IdxArray read_idx(const std::string& file, int rank, std::size_t max_bytes = kMaxIdxBytes);

/// The same for its content in memory; `file` is for messages. The header is compared with the real length first.
IdxArray parse_idx(Bytes content, int rank, const std::string& file);

}  // namespace gradus::data
