// Command lines of the apps: flags bound to variables, grouped help, one exit path. A thin layer over CLI11.
//
//   Cli cli("fashion_mnist", "Trains a classifier of clothes.");
//   cli.group("Training").add("--epochs", options.epochs, "passes over the training images", at_least(1));
//   return cli.run(argc, argv, [&] { return train(options, cli.config()); });
//
// Exit codes: 0 done, 1 failure (one message on stderr), 2 wrong usage, 130 stopped by Ctrl-C after saving.
#pragma once

#include "core/error.h"
#include "core/shape.h"

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace gradus::apps {

/// The exit code after Ctrl-C, as shells have it.
inline constexpr int kExitInterrupted = 130;

/// What a number may be. Both ends belong to it, the lower one only unless `open`.
struct Range {
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
  bool open = false;  // the lower end itself is not allowed
};
inline Range at_least(double min) { return {.min = min}; }
inline Range above(double min) { return {.min = min, .open = true}; }
inline Range between(double min, double max) { return {.min = min, .max = max}; }

/// Wrong usage that only the body of an app can see, such as two flags that exclude each other: exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// The valid name nearest to what was typed, or "" when none is near.
std::string nearest(std::string_view typed, const std::vector<std::string>& valid);

/// The flags of one command. Variables hold the defaults when they are added and the user's values after parsing; they
/// must outlive the Cli. Flag names may be typed with dashes or underscores.
class Cli {
 public:
  Cli(std::string name, std::string about);
  ~Cli();
  Cli(const Cli&) = delete;
  Cli& operator=(const Cli&) = delete;

  /// Flags added from here on stand under this title in --help.
  Cli& group(const std::string& title);

  /// A switch, off unless given.
  Cli& add(const std::string& flag, bool& value, const std::string& help);
  Cli& add(const std::string& flag, Index& value, const std::string& help, Range range = {});
  Cli& add(const std::string& flag, double& value, const std::string& help, Range range = {});
  /// A number whose default depends on other flags.
  Cli& add(const std::string& flag, std::optional<double>& value, const std::string& help, Range range = {});
  /// Whole numbers between commas.
  Cli& add(const std::string& flag, std::vector<Index>& value, const std::string& help, Range range = {});
  /// Free text; `kind` stands for the value in --help: DIR, FILE, TEXT.
  Cli& add(const std::string& flag, std::string& value, const std::string& help, const std::string& kind = "TEXT");
  /// Free text that may be given several times.
  Cli& add(const std::string& flag, std::vector<std::string>& values, const std::string& help, const std::string& kind);
  /// One of the given names.
  Cli& add_choice(const std::string& flag, std::string& value, const std::vector<std::string>& names,
                  const std::string& help);
  /// A required argument without a flag.
  Cli& add_argument(const std::string& name, std::string& value, const std::string& help);

  /// A subcommand with flags of its own; it lives as long as this Cli.
  Cli& command(const std::string& name, const std::string& about);
  /// Whether the command line chose this subcommand.
  bool chosen() const;
  /// Whether the command line gave this flag.
  bool given(const std::string& flag) const;

  /// Every flag and its value as a JSON object, keys with underscores: what config.json of a run holds.
  std::string config() const;

  /// Parses, then calls body(), which returns the exit code; prints help, version and errors. Returns what main
  /// returns.
  template <class Body>
  int run(int argc, const char* const* argv, Body&& body) {
    using Function = std::remove_reference_t<Body>;
    return run(
        argc, argv, [](void* context) -> int { return (*static_cast<Function*>(context))(); }, &body);
  }

 private:
  struct Impl;
  explicit Cli(std::unique_ptr<Impl> impl);
  int run(int argc, const char* const* argv, int (*body)(void*), void* context);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gradus::apps
