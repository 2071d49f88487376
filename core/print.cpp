// to_string(Tensor): values in rows and columns, shortened where long.
#include "core/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace gradus {
namespace {

constexpr Index kSummarizeAbove = 1000;  // elements
constexpr Index kEdge = 3;               // positions shown at either end of a shortened axis

std::string number(double value, DType dtype) {
  return dtype == DType::i64 ? fmt::format("{:.0f}", value) : fmt::format("{:.6g}", value);
}

struct Printer {
  const Shape& shape;
  const std::vector<double>& values;
  DType dtype;
  bool shorten;
  std::size_t width = 0;

  // Calls visit(i) for each shown position of an axis and gap() once where positions are left out.
  template <class Visit, class Gap>
  void positions(Index size, const Visit& visit, const Gap& gap) const {
    for (Index i = 0; i < size; ++i) {
      if (shorten && size > 2 * kEdge + 1 && i == kEdge) {
        gap();
        i = size - kEdge;
      }
      visit(i);
    }
  }

  void measure(int axis, Index at) {
    if (axis == shape.rank()) {
      width = std::max(width, number(values[static_cast<std::size_t>(at)], dtype).size());
      return;
    }
    positions(
        shape[axis], [&](Index i) { measure(axis + 1, at * shape[axis] + i); }, [] {});
  }

  std::string print(int axis, Index at) const {
    if (axis == shape.rank()) return fmt::format("{:>{}}", number(values[static_cast<std::size_t>(at)], dtype), width);
    const bool innermost = axis == shape.rank() - 1;
    const std::string separator = innermost
                                      ? ", "
                                      : "," + std::string(static_cast<std::size_t>(shape.rank() - axis - 1), '\n') +
                                            std::string(static_cast<std::size_t>(axis) + 1, ' ');
    std::string text = "[";
    bool first = true;
    const auto put = [&](const std::string& part) {
      if (!first) text += separator;
      first = false;
      text += part;
    };
    positions(
        shape[axis], [&](Index i) { put(print(axis + 1, at * shape[axis] + i)); }, [&] { put("..."); });
    return text + "]";
  }
};

}  // namespace

std::string to_string(const Tensor& x) {
  if (!x.defined()) return "an empty tensor handle";
  const std::vector<double> values = x.to_vector();
  Printer printer{x.shape(), values, x.dtype(), x.numel() > kSummarizeAbove};
  printer.measure(0, 0);
  return fmt::format("{}\n{} {}", printer.print(0, 0), name_of(x.dtype()), to_string(x.shape()));
}

}  // namespace gradus
