#include "nn/state.h"

#include "core/error.h"

#include <fmt/format.h>

#include <map>
#include <string_view>

namespace gradus::nn::detail {
namespace {

/// "f32 [2, 3]", without the name that describe() would add.
std::string kind(const Tensor& x) {
  return x.defined() ? fmt::format("{} {}", name_of(x.dtype()), to_string(x.shape())) : "an empty handle";
}

/// Lines of one kind of problem, counted for the headline.
struct Problems {
  std::string_view name;
  int count = 0;
  std::string lines = {};

  void add(const std::string& line) {
    ++count;
    lines += fmt::format("\n  {}: {}", name, line);
  }
};

}  // namespace

NamedTensors detach_all(const std::vector<StateEntry>& entries) {
  NamedTensors state;
  for (const auto& entry : entries) state.push_back({entry.name, entry.tensor.detach()});
  return state;
}

void load_all(const std::vector<StateEntry>& entries, const NamedTensors& state, const std::string& what) {
  Problems missing{"missing"}, unexpected{"unexpected"}, shapes{"other shape"}, dtypes{"other dtype"},
      twice{"given twice"};

  std::map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : state)
    if (!given.emplace(name, &tensor).second) twice.add(fmt::format("\"{}\"", name));

  std::vector<std::pair<Tensor, Tensor>> copies;  // to, from
  for (const auto& entry : entries) {
    const std::string& name = entry.name;
    const Tensor& own = entry.tensor;
    const auto found = given.find(name);
    if (found == given.end()) {
      missing.add(fmt::format("\"{}\"  {}", name, kind(own)));
      continue;
    }
    const Tensor& other = *found->second;
    const auto compare = [&] { return fmt::format("\"{}\"  model {}, given {}", name, kind(own), kind(other)); };
    if (!other.defined() || other.shape() != own.shape())
      shapes.add(compare());
    else if (other.dtype() != own.dtype())
      dtypes.add(compare());
    copies.emplace_back(own, other);
    given.erase(found);
  }
  for (const auto& [name, tensor] : state)
    if (const auto found = given.find(name); found != given.end() && found->second == &tensor)
      unexpected.add(fmt::format("\"{}\"  {}", name, kind(tensor)));

  std::string counts, lines;
  for (const auto* problems : {&missing, &unexpected, &shapes, &dtypes, &twice}) {
    if (problems->count == 0) continue;
    counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", problems->count, problems->name);
    lines += problems->lines;
  }
  GRADUS_CHECK(lines.empty(), fmt::format("{} does not fit the model: {}{}\n  nothing was changed{}", what, counts,
                                          lines, dtypes.count > 0 ? "\n  hint: to(x, dtype) converts a tensor" : ""));

  const NoGrad no_grad;
  for (auto& [to, from] : copies)
    if (to.ptr<void>() != from.ptr<void>()) to.copy_(from);  // a model may be given its own state
}

}  // namespace gradus::nn::detail
