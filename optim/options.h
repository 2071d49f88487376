// Options: the hyper-parameters of a method are a plain struct that lists its fields once. From that list come the
// command line, checkpoints, `set("lr", 0.1)`, the manual's defaults and the error messages.
//
//   struct SGDOptions {
//     double lr = 1e-3, momentum = 0;
//     static auto fields(auto& o) { return named("lr", o.lr, "momentum", o.momentum); }
//     void check(OptionCheck& is) const { is.at_least("lr", lr, 0); is.fraction("momentum", momentum); }
//   };
//
// A field is a double, an Index, a bool, a list of doubles (`Betas`), or an enum with `names_of(E)` beside it.
#pragma once

#include "core/named.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace gradus::optim {

/// Decay rates of a first and a second moment, as PyTorch writes them: betas[0] and betas[1].
using Betas = std::array<double, 2>;

/// "key=value" pairs, as a command line gives them.
using OptionList = std::vector<std::pair<std::string, std::string>>;

// --- text: exact both ways
// ---------------------------------------------------------------------------------------------
std::string to_text(double value);
std::string to_text(Index value);
std::string to_text(bool value);
std::string to_text(const Betas& values);
/// Each returns false, leaving `value` alone, when the text is not wholly such a value.
bool from_text(std::string_view text, double& value);
bool from_text(std::string_view text, Index& value);
bool from_text(std::string_view text, bool& value);
bool from_text(std::string_view text, Betas& value);

template <class E>
requires std::is_enum_v<E> std::string to_text(E value) {
  return std::string(names_of(value)[static_cast<std::size_t>(value)]);
}
template <class E>
requires std::is_enum_v<E>
bool from_text(std::string_view text, E& value) {
  const auto names = names_of(value);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == text) {
      value = static_cast<E>(i);
      return true;
    }
  return false;
}

/// What may stand for a value of this type: "a number", "true or false", "one of original, rms_to_rms".
std::string kind_of(double);
std::string kind_of(Index);
std::string kind_of(bool);
std::string kind_of(const Betas&);
std::string kind_of_enum(std::span<const std::string_view> names);
template <class E>
requires std::is_enum_v<E> std::string kind_of(E value) {
  const auto names = names_of(value);
  return kind_of_enum(names);
}

// --- checks
// ------------------------------------------------------------------------------------------------------------
/// Collects broken rules about options, to report them all in one Error.
class OptionCheck {
 public:
  explicit OptionCheck(std::string_view method) : method_(method) {}

  void at_least(std::string_view key, double value, double low);
  void above(std::string_view key, double value, double low);
  /// In [0, 1): a decay rate.
  void fraction(std::string_view key, double value);
  void fraction(std::string_view key, const Betas& values);
  /// In [low, high].
  void between(std::string_view key, double value, double low, double high);
  /// A rule between options, in words: is.that(nesterov implies momentum, "nesterov needs momentum > 0").
  void that(bool holds, std::string_view rule);

  /// Throws an Error that lists what was broken, if anything was.
  void finish() const;

 private:
  void broken(std::string_view key, double value, const std::string& rule);

  std::string_view method_;
  std::string problems_;
};

// --- reading and writing a whole struct
// --------------------------------------------------------------------------------
namespace detail {
[[noreturn]] void fail_unknown_option(std::string_view method, std::string_view key, const OptionList& valid);
[[noreturn]] void fail_option_value(std::string_view method, std::string_view key, std::string_view text,
                                    const std::string& kind);
}  // namespace detail

/// Every field with its value, in the struct's order.
template <class Options>
OptionList list_options(const Options& options) {
  OptionList list;
  for_each_field(options, [&](const char* name, const auto& value) { list.emplace_back(name, to_text(value)); });
  return list;
}

/// Sets one field from text; an unknown key or a value of the wrong kind throws Error listing what is valid.
template <class Options>
void set_option(std::string_view method, Options& options, std::string_view key, std::string_view text) {
  bool found = false;
  for_each_field(options, [&](const char* name, auto& value) {
    if (name != key) return;
    found = true;
    if (!from_text(text, value)) detail::fail_option_value(method, key, text, kind_of(value));
  });
  if (!found) detail::fail_unknown_option(method, key, list_options(options));
}

template <class Options>
void check_options(std::string_view method, const Options& options) {
  if constexpr (requires(OptionCheck & is) { options.check(is); }) {
    OptionCheck is(method);
    options.check(is);
    is.finish();
  }
}

/// The entry of `valid` that differs from `word` in the fewest letters, if in at most a third of them; else "".
std::string nearest(std::string_view word, std::span<const std::string> valid);

}  // namespace gradus::optim
