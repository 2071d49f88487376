#include "core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace gradus {

std::string Shape::too_many(std::size_t rank) {
  return fmt::format("shape: rank {} is above the largest supported rank, {}", rank, kMaxRank);
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", ")); }

Strides row_major(const Shape& shape) {
  Strides strides = shape;
  Index step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

Shape broadcast(const Shape& a, const Shape& b, const char* op) {
  if (a == b) return a;
  Shape result = Shape::filled(std::max(a.rank(), b.rank()), 1);
  for (int i = 1; i <= result.rank(); ++i) {
    const Index left = i <= a.rank() ? a[a.rank() - i] : 1;
    const Index right = i <= b.rank() ? b[b.rank() - i] : 1;
    GRADUS_CHECK(
        left == right || left == 1 || right == 1,
        fmt::format("{}: shapes do not broadcast\n  a: {}\n  b: {}\n  axis {} from the back has sizes {} and {}; "
                    "they must be equal, or one of them 1",
                    op, to_string(a), to_string(b), i, left, right));
    result[result.rank() - i] = left == 1 ? right : left;
  }
  return result;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank()) return false;
  for (int i = 1; i <= from.rank(); ++i) {
    const Index size = from[from.rank() - i];
    if (size != 1 && size != to[to.rank() - i]) return false;
  }
  return true;
}

int normalize_axis(int axis, int rank, const char* op) {
  GRADUS_CHECK(axis >= -rank && axis < rank,
               rank == 0 ? fmt::format("{}: axis {} of a tensor of rank 0, which has no axes", op, axis)
                         : fmt::format("{}: axis {} is out of range for rank {}; allowed are {} to {}", op, axis, rank,
                                       -rank, rank - 1));
  return axis < 0 ? axis + rank : axis;
}

}  // namespace gradus
