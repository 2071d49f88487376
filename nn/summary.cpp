#include "nn/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace gradus::nn::detail {
namespace {

/// 1605632 -> "1,605,632", whatever the locale.
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

constexpr std::size_t kColumns = 5;
using Row = std::array<std::string, kColumns>;

struct Total {
  std::int64_t tensors = 0, count = 0, bytes = 0;

  void add(const Tensor& tensor) {
    ++tensors;
    count += tensor.numel();
    bytes += static_cast<std::int64_t>(tensor.bytes());
  }
  Row row(const char* name) const { return {name, "", "", grouped(count), grouped(bytes)}; }
};

}  // namespace

std::string summary(const std::vector<StateEntry>& entries) {
  std::vector<Row> rows{{"name", "shape", "dtype", "count", "bytes"}};
  Total trained, buffers;
  for (const auto& [name, tensor, is_trained] : entries) {
    (is_trained ? trained : buffers).add(tensor);
    rows.push_back({is_trained ? name : name + " (buffer)", to_string(tensor.shape()),
                    std::string(name_of(tensor.dtype())), grouped(tensor.numel()),
                    grouped(static_cast<std::int64_t>(tensor.bytes()))});
  }
  rows.push_back(trained.row(buffers.tensors > 0 ? "total trained" : "total"));
  if (buffers.tensors > 0) rows.push_back(buffers.row("total of buffers"));

  std::array<std::size_t, kColumns> width{};
  for (const auto& row : rows)
    for (std::size_t i = 0; i < kColumns; ++i) width[i] = std::max(width[i], row[i].size());
  std::string text;
  for (const auto& row : rows)
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>{}}  {:>{}}\n", row[0], width[0], row[1], width[1], row[2],
                        width[2], row[3], width[3], row[4], width[4]);
  return text;
}

}  // namespace gradus::nn::detail
