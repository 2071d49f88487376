#include "optim/catalog.h"

#include "optim/adam.h"
#include "optim/sgd.h"

#include <fmt/format.h>

namespace gradus::optim {
namespace {

/// Sets all options at once, because single ones may be impossible in between (Nesterov before momentum).
template <class M>
std::unique_ptr<Optimizer> make_rule(NamedTensors parameters, const OptionList& options) {
  typename M::Options values;
  for (const auto& [key, text] : options) set_option(M::kName, values, key, text);
  return std::make_unique<M>(std::move(parameters), values);
}

template <class M>
OptionList default_options() {
  return list_options(typename M::Options());
}

template <class M>
constexpr Method rule(std::string_view idea, std::string_view state, std::string_view source, bool elementwise = true) {
  return {M::kName, idea, state, source, elementwise, &make_rule<M>, &default_options<M>};
}

constexpr Method kCatalog[] = {
    rule<SGD>("gradient descent; momentum, dampening, Nesterov", "0, mn with momentum", "Sutskever et al. 2013"),
    rule<Adam>("steps in units of the gradient's own scale", "2mn, 3mn with amsgrad", "Kingma and Ba 2015"),
    rule<AdamW>("Adam with weight decay apart from the gradient", "2mn, 3mn with amsgrad",
                "Loshchilov and Hutter 2019"),
};

}  // namespace

std::span<const Method> catalog() { return kCatalog; }

const Method& method(std::string_view name) {
  for (const Method& entry : kCatalog)
    if (entry.name == name) return entry;
  std::string text = "unknown optimizer \"" + std::string(name) + "\"\n  valid:";
  std::vector<std::string> names;
  for (const Method& entry : kCatalog) {
    text += (names.empty() ? " " : ", ") + std::string(entry.name);
    names.emplace_back(entry.name);
  }
  if (const std::string near = nearest(name, names); !near.empty()) text += "\n  hint: did you mean " + near + "?";
  fail(text);
}

std::unique_ptr<Optimizer> make(std::string_view name, NamedTensors parameters, const OptionList& options) {
  return method(name).make(std::move(parameters), options);
}

std::pair<std::string, std::string> parse_option(std::string_view text) {
  const std::size_t equals = text.find('=');
  GRADUS_CHECK(equals != std::string_view::npos && equals > 0,
               "optimizer option \"" + std::string(text) + "\"\n  needs key=value, as in lr=0.01");
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string list_optimizers() {
  std::string text = fmt::format("{:<18} {:<26} {}\n", "name", "state per m x n matrix", "idea (source)");
  for (const Method& entry : kCatalog)
    text += fmt::format("{:<18} {:<26} {} ({})\n", entry.name, entry.state, entry.idea, entry.source);
  return text;
}

std::string describe_options(std::string_view name) {
  std::string text;
  for (const auto& [key, value] : method(name).options()) text += fmt::format("{}={}\n", key, value);
  return text;
}

}  // namespace gradus::optim
