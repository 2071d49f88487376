#include "apps/common/cli.h"

#include "core/version.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <new>
#include <numeric>
#include <utility>

namespace gradus::apps {
namespace {

using Json = nlohmann::ordered_json;

/// The number that `text` is as a whole, in the C locale whatever the user's is.
template <class T>
T parse_number(const std::string& flag, const std::string& text, const Range& range) {
  T value{};
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const char* kind = std::is_integral_v<T> ? "a whole number" : "a number";
  if (status != std::errc() || end != text.data() + text.size() || !std::isfinite(static_cast<double>(value)))
    throw CLI::ValidationError(flag, fmt::format("'{}' is not {}", text, kind));
  const double number = static_cast<double>(value);
  if (number < range.min || number > range.max || (range.open && number == range.min)) {
    std::string allowed = fmt::format("{} {}", range.open ? "above" : "at least", range.min);
    if (range.max != Range{}.max) allowed = fmt::format("from {} to {}", range.min, range.max);
    throw CLI::ValidationError(flag, fmt::format("{} is out of range: must be {} {}", text, kind, allowed));
  }
  return value;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& valid) {
  const std::string near = nearest(typed, valid);
  return near.empty() ? "" : fmt::format("\ndid you mean '{}'?", near);
}

/// "--batch_size=5" becomes "--batch-size=5"; values keep their underscores.
std::string with_dashes(std::string argument) {
  if (argument.rfind("--", 0) != 0) return argument;
  const auto end = argument.begin() + static_cast<std::ptrdiff_t>(std::min(argument.find('='), argument.size()));
  std::replace(argument.begin(), end, '_', '-');
  return argument;
}

/// The name and the message on stderr, further lines indented.
void complain(const std::string& name, const std::string& message) {
  std::string text = name + ": ";
  for (std::size_t i = 0; i < message.size(); ++i) {
    text += message[i];
    if (message[i] == '\n' && i + 1 < message.size() && message[i + 1] != ' ') text += "  ";
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::fputs((text + "\n").c_str(), stderr);  // fmt::print would throw when even this cannot be written
}

int guarded(const std::string& name, int (*body)(void*), void* context) {
  try {
    const int code = body(context);
    if (std::fflush(stdout) != 0) fail("cannot write to standard output: " + std::string(std::strerror(errno)));
    return code;
  } catch (const UsageError& error) {
    complain(name, fmt::format("{}\ntry '{} --help'", error.what(), name));
    return 2;
  } catch (const std::bad_alloc&) {
    complain(name, "out of memory\nhint: a smaller --batch-size or a smaller model needs less");
  } catch (const std::exception& error) {
    complain(name, error.what());
  }
  return 1;
}

}  // namespace

std::string nearest(std::string_view typed, const std::vector<std::string>& valid) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, typed.size() / 3) + 1;
  for (const auto& name : valid) {
    const std::size_t distance = edit_distance(typed, name);
    if (distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  return best;
}

struct Cli::Impl {
  struct Entry {
    std::string flag;
    CLI::Option* option;
    std::function<Json()> value;
  };

  std::unique_ptr<CLI::App> owned;  // of the root only
  CLI::App* app = nullptr;
  std::string group = "Options";
  std::vector<Entry> entries;
  std::vector<std::unique_ptr<Cli>> commands;

  /// `parse` gets each text that the user gave for the flag, `value` tells what the variable holds.
  CLI::Option* add(const std::string& flag, const std::string& help, const std::string& kind,
                   std::function<void(const std::string&)> parse, std::function<Json()> value) {
    const Json initial = value();
    std::string shown = initial.is_string() ? initial.get<std::string>() : initial.is_null() ? "" : initial.dump();
    if (initial.is_array()) shown = shown.substr(1, shown.size() - 2);
    CLI::Option* option = app->add_option(flag, [parse = std::move(parse)](const CLI::results_t& results) {
      for (const auto& text : results) parse(text);
      return true;
    });
    option->description(shown.empty() ? help : fmt::format("{} [{}]", help, shown));
    option->option_text(kind)->group(group)->take_last();
    entries.push_back({flag, option, std::move(value)});
    return option;
  }

  std::vector<std::string> flags() const {
    std::vector<std::string> names;
    for (const auto& entry : entries)
      if (entry.flag.front() == '-') names.push_back(entry.flag);
    names.push_back("--help");
    if (owned) names.push_back("--version");
    return names;
  }
};

Cli::Cli(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Cli::Cli(std::string name, std::string about) : impl_(std::make_unique<Impl>()) {
  impl_->owned = std::make_unique<CLI::App>(std::move(about), std::move(name));
  impl_->app = impl_->owned.get();
  impl_->app->set_help_flag();  // run() adds it, after the app's own flags
  impl_->app->get_formatter()->column_width(34);
}

Cli::~Cli() = default;

Cli& Cli::group(const std::string& title) {
  impl_->group = title;
  return *this;
}

Cli& Cli::add(const std::string& flag, bool& value, const std::string& help) {
  CLI::Option* option = impl_->app
                            ->add_flag_callback(
                                flag, [&value] { value = true; }, help)
                            ->group(impl_->group);
  impl_->entries.push_back({flag, option, [&value] { return Json(value); }});
  return *this;
}

Cli& Cli::add(const std::string& flag, Index& value, const std::string& help, Range range) {
  const auto parse = [=, &value](const std::string& text) { value = parse_number<Index>(flag, text, range); };
  impl_->add(flag, help, "N", parse, [&value] { return Json(value); });
  return *this;
}

Cli& Cli::add(const std::string& flag, double& value, const std::string& help, Range range) {
  const auto parse = [=, &value](const std::string& text) { value = parse_number<double>(flag, text, range); };
  impl_->add(flag, help, "X", parse, [&value] { return Json(value); });
  return *this;
}

Cli& Cli::add(const std::string& flag, std::optional<double>& value, const std::string& help, Range range) {
  const auto parse = [=, &value](const std::string& text) { value = parse_number<double>(flag, text, range); };
  impl_->add(flag, help, "X", parse, [&value] { return value ? Json(*value) : Json(); });
  return *this;
}

Cli& Cli::add(const std::string& flag, std::vector<Index>& value, const std::string& help, Range range) {
  const auto parse = [=, &value](const std::string& text) {
    value.clear();
    for (const auto& part : CLI::detail::split(text, ',')) value.push_back(parse_number<Index>(flag, part, range));
  };
  impl_->add(flag, help, "N,N,...", parse, [&value] { return Json(value); });
  return *this;
}

Cli& Cli::add(const std::string& flag, std::string& value, const std::string& help, const std::string& kind) {
  const auto parse = [&value](const std::string& text) { value = text; };
  impl_->add(flag, help, kind, parse, [&value] { return Json(value); });
  return *this;
}

Cli& Cli::add(const std::string& flag, std::vector<std::string>& values, const std::string& help,
              const std::string& kind) {
  const auto parse = [&values](const std::string& text) { values.push_back(text); };
  impl_->add(flag, help, kind, parse, [&values] { return Json(values); })->take_all();
  return *this;
}

Cli& Cli::add_choice(const std::string& flag, std::string& value, const std::vector<std::string>& names,
                     const std::string& help) {
  const auto parse = [=, &value](const std::string& text) {
    if (std::find(names.begin(), names.end(), text) == names.end())
      throw CLI::ValidationError(
          flag, fmt::format("unknown name '{}'{}\nvalid: {}", text, did_you_mean(text, names), fmt::join(names, ", ")));
    value = text;
  };
  // A long list stands in the message above, not in every line of --help.
  constexpr std::size_t kFew = 4;
  const std::string kind = names.size() <= kFew ? fmt::format("{}", fmt::join(names, "|")) : "NAME";
  impl_->add(flag, help, kind, parse, [&value] { return Json(value); });
  return *this;
}

Cli& Cli::add_argument(const std::string& name, std::string& value, const std::string& help) {
  const auto parse = [&value](const std::string& text) { value = text; };
  impl_->add(name, help, "", parse, [&value] { return Json(value); })->required();
  return *this;
}

Cli& Cli::command(const std::string& name, const std::string& about) {
  auto impl = std::make_unique<Impl>();
  impl->app = impl_->app->add_subcommand(name, about)->group("Commands");
  impl->app->set_help_flag();
  impl_->commands.push_back(std::unique_ptr<Cli>(new Cli(std::move(impl))));
  return *impl_->commands.back();
}

bool Cli::chosen() const { return impl_->app->parsed(); }

bool Cli::given(const std::string& flag) const { return impl_->app->get_option(flag)->count() > 0; }

std::string Cli::config() const {
  std::string lines;  // one flag a line, lists included
  for (const auto& entry : impl_->entries) {
    std::string key = entry.flag.substr(entry.flag.find_first_not_of('-'));
    std::replace(key.begin(), key.end(), '-', '_');
    lines += fmt::format("{}  {}: {}", lines.empty() ? "" : ",\n", Json(key).dump(),
                         entry.value().dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return "{\n" + lines + "\n}\n";
}

int Cli::run(int argc, const char* const* argv, int (*body)(void*), void* context) {
  // A write beyond the file size limit shall fail with an error to report, as on a full disk, instead of a signal.
  std::signal(SIGXFSZ, SIG_IGN);

  CLI::App& app = *impl_->app;
  const std::string name = app.get_name();
  app.set_help_flag("-h,--help", "this text")->group("Other");
  app.set_version_flag("--version", build_info(), "what was built, and how")->group("Other");
  for (const auto& command : impl_->commands)
    command->impl_->app->set_help_flag("-h,--help", "this text")->group("Other");

  const auto usage_error = [&](const std::string& message) {
    complain(name, fmt::format("{}\ntry '{} --help'", message, name));
    return 2;
  };
  const auto print = [&](std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const auto put = [](void* lines) {
      fmt::print("{}\n", *static_cast<std::string*>(lines));
      return 0;
    };
    return guarded(name, put, &text);
  };
  try {
    std::vector<std::string> arguments;
    for (int i = argc - 1; i > 0; --i) arguments.push_back(with_dashes(argv[i]));  // CLI11 takes them from the back
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return print(CLI::detail::find_and_replace(app.help(), "\n\n\n", "\n\n"));
  } catch (const CLI::CallForVersion& version) {
    return print(version.what());
  } catch (const CLI::ExtrasError&) {
    const Impl* active = impl_.get();
    std::vector<std::string> valid;
    for (const auto& command : impl_->commands) {
      if (command->chosen()) active = command->impl_.get();
      valid.push_back(command->impl_->app->get_name());
    }
    const std::string typed = app.remaining(true).front();
    const bool is_flag = typed.front() == '-';
    if (is_flag) valid = active->flags();
    if (!is_flag && (active != impl_.get() || valid.empty())) return usage_error("unexpected argument '" + typed + "'");
    return usage_error(fmt::format("unknown {} '{}'{}\nvalid: {}", is_flag ? "flag" : "command", typed,
                                   did_you_mean(typed.substr(0, typed.find('=')), valid), fmt::join(valid, " ")));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    return usage_error(what.substr(0, what.find(':')) + ": the value is missing");
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  for (const auto& command : impl_->commands)
    for (const auto& entry : impl_->entries)
      if (command->chosen() && entry.option->count() > 0)
        return usage_error(fmt::format("{} does not belong to '{}'", entry.flag, command->impl_->app->get_name()));
  return guarded(name, body, context);
}

}  // namespace gradus::apps
