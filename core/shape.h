// Shapes and strides: short inline lists of sizes, and NumPy's broadcasting rule.
#pragma once

#include "core/error.h"

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace gradus {

using Index = std::int64_t;

inline constexpr int kMaxRank = 6;

/// An inline list of at most kMaxRank numbers: a shape (sizes) or strides (in elements). Copying never allocates.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<Index> sizes) : Shape(std::span<const Index>(sizes.begin(), sizes.size())) {}
  Shape(const std::vector<Index>& sizes) : Shape(std::span<const Index>(sizes)) {}
  explicit Shape(std::span<const Index> sizes) : rank_(static_cast<int>(sizes.size())) {
    GRADUS_CHECK(sizes.size() <= kMaxRank, too_many(sizes.size()));
    for (int i = 0; i < rank_; ++i) sizes_[i] = sizes[static_cast<std::size_t>(i)];
  }

  /// A shape of `rank` equal entries.
  static Shape filled(int rank, Index value) {
    GRADUS_CHECK(rank <= kMaxRank, too_many(static_cast<std::size_t>(rank)));
    Shape shape;
    shape.rank_ = rank;
    for (int i = 0; i < rank; ++i) shape.sizes_[i] = value;
    return shape;
  }

  int rank() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  Index operator[](int i) const { return sizes_[i]; }
  Index& operator[](int i) { return sizes_[i]; }
  Index back() const { return sizes_[rank_ - 1]; }
  const Index* begin() const { return sizes_; }
  const Index* end() const { return sizes_ + rank_; }

  void push_back(Index size) {
    GRADUS_CHECK(rank_ < kMaxRank, too_many(kMaxRank + 1));
    sizes_[rank_++] = size;
  }
  void insert(int at, Index size) {
    push_back(size);
    for (int i = rank_ - 1; i > at; --i) sizes_[i] = sizes_[i - 1];
    sizes_[at] = size;
  }
  void erase(int at) {
    for (int i = at; i + 1 < rank_; ++i) sizes_[i] = sizes_[i + 1];
    --rank_;
  }

  /// Product of the sizes; 1 for rank 0.
  Index numel() const {
    Index n = 1;
    for (int i = 0; i < rank_; ++i) n *= sizes_[i];
    return n;
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i)
      if (a.sizes_[i] != b.sizes_[i]) return false;
    return true;
  }

 private:
  static std::string too_many(std::size_t rank);

  int rank_ = 0;
  Index sizes_[kMaxRank] = {};
};

using Strides = Shape;

/// Axis numbers; negative ones count from the back. An empty list means "all axes" where a function says so.
using Axes = std::vector<int>;

/// "[2, 3]".
std::string to_string(const Shape& shape);

/// Strides of a dense row-major tensor of this shape.
Strides row_major(const Shape& shape);

/// The shape both broadcast to (NumPy's rule), or an Error that starts with `op`.
Shape broadcast(const Shape& a, const Shape& b, const char* op);

/// True when `from` can be expanded to `to` under NumPy's rule.
bool broadcasts_to(const Shape& from, const Shape& to);

/// Maps a possibly negative axis into [0, rank), or throws an Error that starts with `op`.
int normalize_axis(int axis, int rank, const char* op);

}  // namespace gradus
