// The catalogue: every method by name, for command lines, the manual and the tests. An explicit table in catalog.cpp.
#pragma once

#include "optim/optimizer.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace gradus::optim {

/// What the catalogue knows of a method.
struct Method {
  std::string_view name;
  std::string_view idea;    // one line
  std::string_view state;   // numbers remembered per m x n matrix, m <= n
  std::string_view source;  // paper or code
  bool elementwise;         // each number of a tensor is updated by itself: splitting a tensor changes nothing
  std::unique_ptr<Optimizer> (*make)(NamedTensors parameters, const OptionList& options);
  OptionList (*options)();  // with defaults
};

std::span<const Method> catalog();
/// The entry, or an Error that lists all names with the nearest.
const Method& method(std::string_view name);

/// make("adamw", parameters, {{"lr", "1e-3"}}). Unknown names, unknown keys, values of the wrong kind and impossible
/// values are an Error that lists what is valid.
std::unique_ptr<Optimizer> make(std::string_view name, NamedTensors parameters, const OptionList& options = {});

/// Splits "key=value"; an Error shows the form when there is no "=".
std::pair<std::string, std::string> parse_option(std::string_view text);

/// The catalogue as a table to print: name, state, idea, source.
std::string list_optimizers();
/// The options of one method with their defaults, a line each.
std::string describe_options(std::string_view name);

}  // namespace gradus::optim
